# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as YAML, laid out as sigs.k8s.io/yaml (Helm's toYaml) does it; and YAML as values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from farm.spec.template.jsontext import float_text
from farm.spec.template.numbers import parse_int
from farm.spec.template.printing import text_of
from farm.spec.template.values import Fault, Struct, Value, to_bytes, weigh

if TYPE_CHECKING:
    import yaml

_SPECIAL = ("nan", "NaN", "NAN", "inf", "Inf", "INF")
_WORDS = frozenset(("~", "null", "Null", "NULL", *(f"{sign}.{word}" for sign in ("", "+", "-") for word in _SPECIAL)))
_BOOLS = frozenset(
    word
    for base in ("y", "yes", "true", "on", "n", "no", "false", "off")
    for word in (base, base.capitalize(), base.upper())
)
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_DIGITS = "0123456789"
_BASE60 = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?(?:$|[Tt ]\s*\d\d?:\d\d?:\d\d?)")


def _is_ambiguous(text: str) -> bool:
    """Whether a plain scalar would be read as something else than this text."""
    if not text or text in _WORDS or text in _BOOLS:
        return True
    if text[0] not in "+-.0123456789":
        return False
    plain = text.replace("_", "")
    looks = _NUMBER.match(plain) or _BASE60.match(text) or _DATE.match(text)
    return bool(looks) or parse_int(plain) is not None


def _natural(key: str) -> list[tuple[int, int, str]]:
    """go-yaml's order of keys: numbers by value, letters after everything else."""
    parts = re.findall(r"[0-9]+|[^0-9]", key)
    return [(1, int(p[:4000]), "") if p[0] in _DIGITS else (2 if p.isalpha() else 0, 0, p) for p in parts]


class _Writer:
    """The events of a value."""

    def __init__(self) -> None:
        import yaml

        self.yaml = yaml

    def scalar(self, text: str, style: str | None = None) -> yaml.Event:
        return self.yaml.ScalarEvent(None, None, (True, True), text, style=style)

    def string(self, text: str) -> yaml.Event:
        text = to_bytes(text).decode("utf-8", "replace")
        if "\n" in text:
            return self.scalar(text, "|")
        return self.scalar(text, '"' if _is_ambiguous(text) else None)

    def events(self, value: Value) -> Iterator[yaml.Event]:
        if isinstance(value, dict):
            yield from self.mapping({text_of(key): item for key, item in value.items()})
        elif isinstance(value, (list, tuple)):
            yield self.yaml.SequenceStartEvent(None, None, True, flow_style=not value)
            for item in value:
                yield from self.events(item)
            yield self.yaml.SequenceEndEvent()
        else:
            yield self.leaf(value)

    def leaf(self, value: Value) -> yaml.Event:
        if isinstance(value, str):
            return self.string(value)
        if value is None or isinstance(value, bool):
            return self.scalar({None: "null", True: "true", False: "false"}[value])
        if isinstance(value, float):
            return self.scalar(float_text(value))
        return (
            self.scalar(str(int(value)))
            if isinstance(value, int)
            else self.string(value.written() if isinstance(value, Struct) else str(value))
        )

    def mapping(self, value: dict[str, Any]) -> Iterator[yaml.Event]:
        yield self.yaml.MappingStartEvent(None, None, True, flow_style=not value)
        for key in sorted(value, key=_natural):
            yield self.string(key)
            yield from self.events(value[key])
        yield self.yaml.MappingEndEvent()


def to_yaml(value: Value) -> str:
    """``value`` as a YAML document, with a newline at its end. Raises Fault when it is too large."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes an empty key in one line with its value, as go-yaml does."""

        def check_simple_key(self) -> bool:
            empty = isinstance(self.event, yaml.ScalarEvent) and not self.event.value
            return empty or bool(super().check_simple_key())

    weigh(value)
    writer = _Writer()
    events = [
        yaml.StreamStartEvent(),
        yaml.DocumentStartEvent(explicit=False),
        *writer.events(value),
        yaml.DocumentEndEvent(explicit=False),
        yaml.StreamEndEvent(),
    ]
    try:
        text: str = yaml.emit(events, Dumper=Dumper, allow_unicode=True)
    except yaml.YAMLError as error:
        raise Fault(f"error converting to YAML: {error}") from None
    return text.removeprefix("--- ").removesuffix("...\n")


def from_yaml(text: str) -> Value:
    """A YAML document as JSON-like data: dates stay text, numbers are floats. Raises Fault."""
    import yaml

    class Loader(yaml.SafeLoader):
        """Without dates."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]\Z"), list("yYnN"))
    Loader.bool_values = {**yaml.SafeLoader.bool_values, "y": True, "n": False}
    try:
        value = yaml.load(text, Loader)
        weigh(value)
        return _as_json(value)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Fault(f"error converting YAML to JSON: {error}") from None


def _as_json(value: Value) -> Value:
    if isinstance(value, dict):
        return {text_of(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
