# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of values: what ``.a.b`` and ``$x.a`` give (Go's exec.go, evalField, with Helm's missingkey=zero)."""

from __future__ import annotations

from collections.abc import Sequence

from farm.spec.template.values import Fault, Struct, Value, type_of


def field(receiver: Value, name: str, args: Sequence[Value] = ()) -> Value:
    """One field of a value; nil for a key that a map does not have. Raises Fault for a field of what has none."""
    if isinstance(receiver, dict):
        if args:
            raise Fault(f"{name} is not a method but has arguments")
        return receiver.get(name)
    if receiver is None:
        raise Fault(
            f"nil pointer evaluating interface {{}}.{name}",
            f"what stands in front of .{name} is not set: test it with `if`, or set it in the spec or a value file",
        )
    method = receiver.member(name) if isinstance(receiver, Struct) else None
    if method is None:
        raise Fault(f"can't evaluate field {name} in type {type_of(receiver)}")
    try:
        return method(*args)
    except TypeError as error:
        raise Fault(f"error calling {name}: {error}") from None


def walk(receiver: Value, names: Sequence[str], args: Sequence[Value] = ()) -> Value:
    """A chain of fields; ``args`` are for the last of them, which must then be a method.

    A chain that starts at nil gives nil; one that comes to nil before its end is a Fault, as in Go.
    """
    if receiver is None:
        return None
    last = len(names) - 1
    for index, name in enumerate(names):
        receiver = field(receiver, name, args if index == last else ())
    return receiver
