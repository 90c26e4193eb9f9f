# SPDX-License-Identifier: GPL-3.0-or-later
"""Go's view of plain data: kinds, types, truth and equality, and the error of a failed execution.

A template works on what YAML and JSON can say: None, bool, int, float, str, list and dict stand for Go's nil,
bool, int, float64, string, []interface{} and map[string]interface{}. Bytes of a string that are not UTF-8 are
kept as lone surrogates (``surrogateescape``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Value = Any
MAX_NODES = 1_000_000


class Fault(Exception):
    """A template cannot be executed. ``offset`` is the place in the source text, once it is known."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.offset = -1


class Int64(int):
    """What sprig's arithmetic gives: it prints as an int, but its Go type is int64."""


class Struct:
    """A Go value with methods (time.Time, semver.Version). ``go_type`` is its name in Go."""

    go_type = "struct"

    def member(self, name: str) -> Callable[..., Value] | None:
        """The method that Go calls ``name``; None when there is none."""
        raise NotImplementedError

    def __str__(self) -> str:
        raise NotImplementedError

    def written(self) -> str:
        """The text that stands for it in JSON, YAML and TOML."""
        return str(self)


def is_true(value: Value) -> bool:
    """Go's truth: false, 0, nil and whatever is empty are false."""
    return True if isinstance(value, Struct) else bool(value)


_KINDS: dict[type, tuple[str, str]] = {
    type(None): ("invalid", "<nil>"),
    bool: ("bool", "bool"),
    int: ("int", "int"),
    Int64: ("int64", "int64"),
    float: ("float64", "float64"),
    str: ("string", "string"),
    list: ("slice", "[]interface {}"),
    tuple: ("slice", "[]interface {}"),
    dict: ("map", "map[string]interface {}"),
}


def kind_of(value: Value) -> str:
    """reflect.Kind, as text (``slice``, ``map``, ``float64``, …)."""
    for base in type(value).__mro__:
        if base in _KINDS:
            return _KINDS[base][0]
    return "struct"


def type_of(value: Value) -> str:
    """The Go type, as ``%T`` prints it."""
    if isinstance(value, Struct):
        return value.go_type
    for base in type(value).__mro__:
        if base in _KINDS:
            return _KINDS[base][1]
    return "interface {}"


def sorted_keys(mapping: dict[Any, Value]) -> list[Any]:
    """The keys in the order in which Go prints and ranges."""
    try:
        return sorted(mapping)
    except TypeError:
        return sorted(mapping, key=lambda key: (type_of(key), key if isinstance(key, (int, float)) else str(key)))


def deep_equal(left: Value, right: Value) -> bool:
    """reflect.DeepEqual: values of different types are never equal."""
    if isinstance(left, (list, tuple)):
        if not isinstance(right, (list, tuple)) or len(left) != len(right):
            return False
        return all(map(deep_equal, left, right))
    if isinstance(left, dict):
        if not isinstance(right, dict) or left.keys() != right.keys():
            return False
        return all(deep_equal(value, right[key]) for key, value in left.items())
    return bool(left.__class__ is right.__class__ and left == right)


def weigh(value: Value) -> None:
    """Raise Fault when a value, written out, has too many parts: it may hold itself, or one part very often."""
    count, stack = 0, [value]
    while stack:
        item = stack.pop()
        parts: Iterable[Value] = ()
        if isinstance(item, dict):
            parts = item.values()
        elif isinstance(item, (list, tuple)):
            parts = item
        stack.extend(parts)
        count += 1
        if count + len(stack) > MAX_NODES:
            raise Fault(f"the value has more than {MAX_NODES} parts", "does it contain itself?")


def deep_copy(value: Value) -> Value:
    """An independent copy of plain data."""
    if isinstance(value, dict):
        return {key: deep_copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [deep_copy(item) for item in value]
    return value


def to_bytes(text: str) -> bytes:
    """The bytes of a Go string."""
    return text.encode("utf-8", "surrogateescape")


def from_bytes(data: bytes) -> str:
    """The Go string of these bytes."""
    return data.decode("utf-8", "surrogateescape")


def bytewise(work: Callable[[str], str], text: str) -> str:
    """Apply ``work``, which counts in bytes as Go does, to a string that may hold longer characters."""
    if text.isascii():
        return work(text)
    return from_bytes(work(to_bytes(text).decode("latin-1")).encode("latin-1"))


def wrap64(number: int) -> int:
    """The int64 that Go's overflowing arithmetic leaves."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)
