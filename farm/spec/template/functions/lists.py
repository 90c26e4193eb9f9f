# SPDX-License-Identifier: GPL-3.0-or-later
"""sprig's list.go. The ``must`` forms are the same functions: a fault ends the execution in both."""

from __future__ import annotations

from collections.abc import Sequence

from farm.spec.template.functions.numbers import to_int64
from farm.spec.template.functions.strings import strings_of
from farm.spec.template.printing import text_of
from farm.spec.template.registry import define, function
from farm.spec.template.values import Fault, Value, deep_equal, is_true, kind_of


def _items(value: Value, verb: str) -> Sequence[Value]:
    if isinstance(value, (list, tuple)):
        return value
    hint = "the value is not set: `default list` makes an empty list of it" if value is None else ""
    raise Fault(f"cannot {verb} type {kind_of(value)}", hint)


def _contains(items: Sequence[Value], wanted: Value) -> bool:
    return any(deep_equal(item, wanted) for item in items)


@function("uniq", "mustUniq", args="any")
def _uniq(value: Value) -> Value:
    items = _items(value, "find uniq on")
    if all(isinstance(item, str) for item in items):
        return list(dict.fromkeys(items))
    result: list[Value] = []
    for item in items:
        if not _contains(result, item):
            result.append(item)
    return result


@function("without", "mustWithout", args="any *any")
def _without(value: Value, *omitted: Value) -> Value:
    return [item for item in _items(value, "find without on") if not _contains(omitted, item)]


@function("has", "mustHas", args="any any")
def _has(wanted: Value, value: Value) -> bool:
    return value is not None and _contains(_items(value, "find has on"), wanted)


@function("slice", "mustSlice", args="any *any")
def _slice(value: Value, *bounds: Value) -> Value:
    items = _items(value, "slice")
    if not items:
        return None
    start = to_int64(bounds[0]) if bounds else 0
    end = to_int64(bounds[1]) if len(bounds) > 1 else len(items)
    if not 0 <= start <= end <= len(items):
        raise Fault(f"slice bounds out of range [{start}:{end}] of a list of length {len(items)}")
    return list(items[start:end])


@function("chunk", "mustChunk", args="int any")
def _chunk(size: int, value: Value) -> Value:
    items = _items(value, "chunk")
    if size < 1:
        raise Fault("chunk: the size must be positive")
    return [list(items[start : start + size]) for start in range(0, len(items), size)]


@function("concat", args="*any")
def _concat(*values: Value) -> Value:
    return [item for value in values for item in _items(value, "concat")]


@function("sortAlpha", args="any")
def _sort_alpha(value: Value) -> Value:
    return sorted(strings_of(value)) if isinstance(value, (list, tuple)) else [text_of(value)]


def _end(value: Value, verb: str, index: int) -> Value:
    items = _items(value, verb)
    return items[index] if items else None


for prefix in ("", "must"):

    def _name(name: str, prefix: str = prefix) -> str:
        return prefix + name.title() if prefix else name

    define(_name("first"), "any", lambda value: _end(value, "find first on", 0))
    define(_name("last"), "any", lambda value: _end(value, "find last on", -1))
    define(_name("rest"), "any", lambda value: list(_items(value, "find rest on")[1:]))
    define(_name("initial"), "any", lambda value: list(_items(value, "find initial on")[:-1]))
    define(_name("reverse"), "any", lambda value: list(reversed(_items(value, "find reverse on"))))
    define(_name("compact"), "any", lambda value: [item for item in _items(value, "compact") if is_true(item)])
    define(_name("append"), "any any", lambda value, item: [*_items(value, "push on"), item])
    define(_name("push"), "any any", lambda value, item: [*_items(value, "push on"), item])
    define(_name("prepend"), "any any", lambda value, item: [item, *_items(value, "prepend on")])

define("list", "*any", lambda *values: list(values))
define("tuple", "*any", lambda *values: list(values))
