# SPDX-License-Identifier: GPL-3.0-or-later
"""Values as TOML, as github.com/BurntSushi/toml writes them: sorted keys, plain values first, then tables."""

from __future__ import annotations

import math
import re
from typing import Any

from farm.spec.template.numbers import format_float
from farm.spec.template.printing import text_of
from farm.spec.template.timeformat import Time
from farm.spec.template.values import Value, sorted_keys, weigh

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_ESCAPES = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r", '"': r"\"", "\\": r"\\"}
_SPECIAL = re.compile('[\x00-\x1f"\\\\\x7f]')


def _quoted(text: str) -> str:
    return '"' + _SPECIAL.sub(lambda m: _ESCAPES.get(m.group()) or f"\\u{ord(m.group()):04x}", text) + '"'


def _key(key: Any) -> str:
    text = text_of(key)
    return text if _BARE.match(text) else _quoted(text)


def _float(number: float) -> str:
    if not math.isfinite(number):
        return "nan" if math.isnan(number) else "inf" if number > 0 else "-inf"
    text = format_float(number, "f")
    return text if "." in text else f"{text}.0"


def _inline(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(key)} = {_inline(value[key])}' for key in sorted_keys(value))}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, Time):
        return value.written()
    return _quoted(text_of(value))


def _is_tables(value: Value) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, dict) for item in value)


def _table(value: dict[Any, Value], path: tuple[str, ...], lines: list[str]) -> None:
    pad = "  " * len(path)
    tables = []
    for key in sorted_keys(value):
        item = value[key]
        if isinstance(item, dict) or _is_tables(item):
            tables.append(key)
        elif item is not None:
            lines.append(f"{pad}{_key(key)} = {_inline(item)}")
    for key in tables:
        inner = (*path, _key(key))
        entries = [value[key]] if isinstance(value[key], dict) else value[key]
        mark = "[{}]" if isinstance(value[key], dict) else "[[{}]]"
        for entry in entries:
            if lines and (not path or isinstance(value[key], (list, tuple))):
                lines.append("")
            lines.append(pad + mark.format(".".join(inner)))
            _table(entry, inner, lines)


def to_toml(value: Value) -> str:
    """A map as TOML. What is no map gives the encoder's message, as in Helm."""
    if not isinstance(value, dict):
        return "toml: top-level values must be Go maps or structs"
    weigh(value)
    lines: list[str] = []
    _table(value, (), lines)
    return "\n".join(lines) + "\n" if lines else ""
