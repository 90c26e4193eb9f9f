# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Schemas (2020-12) of every file kind: published, and what all checking of structure is done with.

`valid` decides fast whether a document is fine (farm/spec/structure.py); only a bad one is given to the
``jsonschema`` package, by `explain`, to find out what is wrong with it. Both agree (tests/spec/test_schema.py).
The annotations ``x-code`` and ``x-hint`` in a schema name the problem's code and how to mend it.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from farm.spec.finding import Finding, findings_of
from farm.spec.problem import error
from farm.spec.structure import Check, checker, python_pattern, resolve

Kind = Literal[
    "definition",
    "build",
    "collection",
    "finalize",
    "farm",
    "values",
    "metro",
    "metro-hooks",
    "stage",
    "board",
    "autogen",
    "kit-merge",
    "kit-release",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_FOLDER = Path(__file__).parent / "schemas"


@functools.cache
def schema(kind: str) -> dict[str, Any]:
    """The self-contained schema of a file kind. FarmError ``unknown-kind`` when there is no such kind."""
    if kind not in KINDS:
        raise error("unknown-kind", f"no file kind {kind!r}", hint=f"one of: {', '.join(KINDS)}")
    document = _read(kind)
    own = document.pop("$defs", {})
    used = _used(document, {**_read("parts")["$defs"], **own})
    return {**document, "$defs": used} if used else document


def valid(kind: Kind, data: Any) -> bool:
    """Whether ``data`` satisfies the schema of ``kind``."""
    return _checker(kind)(data)


def explain(kind: Kind, data: Any) -> list[Finding]:
    """All that is wrong with ``data``, in document order of the paths; empty when it is valid."""
    findings = [f for e in _validator(kind).iter_errors(data) for f in findings_of(e)]
    return sorted(findings, key=lambda f: [(str(type(p)), p) for p in f.path])


def keys_of(kind: Kind) -> frozenset[str]:
    """The keys that a file of this kind has a meaning for."""
    document = schema(kind)
    target = resolve(document, document["$ref"]) if "$ref" in document else document
    return frozenset(target.get("properties", ()))


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    return document


def _used(document: Any, parts: dict[str, Any]) -> dict[str, Any]:
    """Those of ``parts`` that ``document`` refers to, directly or through others."""
    used: dict[str, Any] = {}
    waiting = [document]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in used:
                used[name] = parts[name]
                waiting.append(parts[name])
    return used


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix("#/$defs/")
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


@functools.cache
def _checker(kind: Kind) -> Check:
    return checker(schema(kind))


@functools.cache
def _validator(kind: Kind) -> Any:
    import jsonschema

    extend: Any = jsonschema.validators.extend
    validator = extend(jsonschema.Draft202012Validator, {"pattern": _pattern})
    return validator(schema(kind))


def _pattern(_validator: Any, pattern: str, value: Any, _rules: Any) -> Iterator[Any]:
    """The keyword as the standard has it (ECMA-262): ``$`` is the end of the text."""
    import jsonschema

    if isinstance(value, str) and not re.search(python_pattern(pattern), value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")
