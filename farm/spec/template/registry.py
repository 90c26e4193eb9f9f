# SPDX-License-Identifier: GPL-3.0-or-later
"""The functions that templates can call: their signatures and the conversion of arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from farm.spec.template.values import Fault, Value, type_of

UNSET_HINT = 'the value is not set: give it one in the spec or a value file, or write `… | default "…"`'


class Site(Protocol):
    """Where a function is called: given to functions that need more than their arguments."""

    def impure(self, name: str) -> None:
        """Note that the result depends on the time or on chance."""

    def include(self, name: str, data: Value) -> str:
        """The text of a defined template."""

    def evaluate(self, text: str, data: Value) -> str:
        """The text of a template given as a string."""


@dataclasses.dataclass(frozen=True, slots=True)
class Function:
    """``params`` names the type of each argument, ``rest`` that of all further ones (None: no more allowed).

    ``site``: the call's Site is given in front of the arguments. ``impure``: every call depends on time or
    chance. ``mutates``: it can change a value it is given.
    """

    name: str
    call: Callable[..., Value]
    params: tuple[str, ...]
    rest: str | None
    site: bool
    impure: bool
    mutates: bool

    def param(self, index: int) -> str:
        """The type of the argument at ``index``, from 0."""
        if index < len(self.params):
            return self.params[index]
        return self.rest or "any"

    def arity_problem(self, count: int) -> str:
        """What is wrong with that number of arguments; empty when nothing is."""
        least = len(self.params)
        if count < least and self.rest is not None:
            return f"wrong number of args for {self.name}: want at least {least} got {count}"
        if count != least and self.rest is None:
            return f"wrong number of args for {self.name}: want {least} got {count}"
        return ""


FUNCTIONS: dict[str, Function] = {}


def function(
    *names: str, args: str = "", site: bool = False, impure: bool = False, mutates: bool = False
) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Register the decorated function under ``names``. ``args``: types, the last with ``*`` when variadic."""
    types = args.split()
    rest = types.pop()[1:] if types and types[-1].startswith("*") else None

    def register(call: Callable[..., Value]) -> Callable[..., Value]:
        for name in names:
            FUNCTIONS[name] = Function(name, call, tuple(types), rest, site, impure, mutates)
        return call

    return register


def define(name: str, args: str, call: Callable[..., Value]) -> None:
    """Register a function that is written in one line."""
    function(name, args=args)(call)


_GO_NAMES = {"float": "float64", "map": "map[string]interface {}", "time": "time.Time"}


def wrong_type(expected: str, value: Value) -> Fault:
    """The Fault of an argument that a function cannot take."""
    name = _GO_NAMES.get(expected, expected)
    if value is None:
        return Fault(f"invalid value; expected {name}, got nothing", UNSET_HINT)
    hint = "`toString` makes a text of it" if expected == "string" else ""
    return Fault(f"wrong type for value; expected {name}; got {type_of(value)}", hint)


def _string(value: Value) -> Value:
    if not isinstance(value, str):
        raise wrong_type("string", value)
    return value


def _int(value: Value) -> Value:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type("int", value)
    return value


def _float(value: Value) -> Value:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise wrong_type("float", value)
    return float(value)


def _bool(value: Value) -> Value:
    if not isinstance(value, bool):
        raise wrong_type("bool", value)
    return value


def _map(value: Value) -> Value:
    if not isinstance(value, dict):
        raise wrong_type("map", value)
    return value


def _time(value: Value) -> Value:
    if getattr(value, "go_type", "") != "time.Time":
        raise wrong_type("time", value)
    return value


COERCIONS: dict[str, Callable[[Value], Value]] = {
    "string": _string,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "map": _map,
    "time": _time,
}


def literal(kind: str, value: Any) -> Value:
    """A literal argument as the type asked for: Go lets 3.0 stand for an int and 3 for a float.

    Raises Fault when it cannot.
    """
    if kind == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind in ("string", "int", "float", "bool") and value is not None:
        return COERCIONS[kind](value)
    if kind == "map" and value is None:
        return {}
    if kind != "any":
        raise Fault(f"can't handle {value!r} for arg of type {_GO_NAMES.get(kind, kind)}")
    return value
