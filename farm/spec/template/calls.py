# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of functions in templates, as closures; and the place of what goes wrong in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from farm.spec.template import tree
from farm.spec.template.registry import COERCIONS, FUNCTIONS, Function, literal, wrong_type
from farm.spec.template.state import LARGE, State
from farm.spec.template.values import Fault, Value, is_true

Frame = list[Any]
Expression = Callable[[Value, Frame], Value]
Argument = tuple[tree.Operand, Expression]
_Result = TypeVar("_Result")
_SIZED = frozenset((str, list, dict))
FAULTS = (
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    MemoryError,
    NotImplementedError,
    re.error,
)
"""What a function can raise by mistake or for lack of room, besides Fault."""


def at_place(error: Exception, at: int, name: str = "") -> Fault:
    """The Fault of an error: with the offset ``at`` unless it has one already."""
    if not isinstance(error, Fault):
        deep = isinstance(error, RecursionError)
        text = "the value or the template is nested too deeply" if deep else str(error) or type(error).__name__
        error = Fault(f"error calling {name}: {text}" if name else text)
    if error.offset < 0:
        error.offset = at
    return error


def located(work: Callable[..., _Result], at: int, *args: Any) -> _Result:
    """Call ``work``; what it raises gets the offset ``at``."""
    try:
        return work(*args)
    except (Fault, *FAULTS) as error:
        raise at_place(error, at) from None


class CallSite:
    """registry.Site for one call."""

    __slots__ = ("at", "state")

    def __init__(self, state: State, at: int) -> None:
        self.state = state
        self.at = at

    def impure(self, name: str) -> None:
        self.state.impure.append((name, self.at))

    def include(self, name: str, data: Value) -> str:
        return self.state.text(name, data)

    def evaluate(self, text: str, data: Value) -> str:
        return self.state.evaluate(text, data, self.at)


def call(node: tree.Name, arguments: list[Argument], final: Expression | None) -> Expression:
    """The call of a known function; ``final`` is the value that comes through a pipe."""
    function, at = FUNCTIONS[node.name], node.at
    if node.name in ("and", "or"):
        return _short_circuit(node.name, [value for _, value in arguments], final)
    typed = [_typed(function.param(i), operand, value) for i, (operand, value) in enumerate(arguments)]
    last = _coerced(_lenient(function.param(len(arguments))), final, at) if final else None
    if function.site or function.impure:
        return _call_with_site(function, typed, last, at)
    if last is not None and len(typed) == 1:
        return _call_piped(function, typed[0], last, at)
    return _call_any(function, typed, last, at)


def _call_any(function: Function, arguments: list[Expression], final: Expression | None, at: int) -> Expression:
    work, name = function.call, function.name

    def invoke(dot: Value, frame: Frame) -> Value:
        try:
            if final is None:
                result = work(*[argument(dot, frame) for argument in arguments])
            else:
                last = final(dot, frame)
                result = work(*[argument(dot, frame) for argument in arguments], last)
            if result.__class__ in _SIZED and len(result) > LARGE:
                frame[1].charge(len(result))
            return result
        except (Fault, *FAULTS) as error:
            raise at_place(error, at, name) from None

    return invoke


def _call_piped(function: Function, argument: Expression, final: Expression, at: int) -> Expression:
    """The commonest shape, ``value | function argument``, without building lists."""
    work, name = function.call, function.name

    def invoke(dot: Value, frame: Frame) -> Value:
        try:
            last = final(dot, frame)
            result = work(argument(dot, frame), last)
            if result.__class__ in _SIZED and len(result) > LARGE:
                frame[1].charge(len(result))
            return result
        except (Fault, *FAULTS) as error:
            raise at_place(error, at, name) from None

    return invoke


def _call_with_site(function: Function, arguments: list[Expression], final: Expression | None, at: int) -> Expression:
    work, name = function.call, function.name

    def invoke(dot: Value, frame: Frame) -> Value:
        state: State = frame[1]
        try:
            last = [final(dot, frame)] if final else []
            values = [argument(dot, frame) for argument in arguments] + last
            if function.impure:
                state.impure.append((name, at))
            result = work(CallSite(state, at), *values) if function.site else work(*values)
            if result.__class__ in _SIZED and len(result) > LARGE:
                state.charge(len(result))
            return result
        except (Fault, *FAULTS) as error:
            raise at_place(error, at, name) from None

    return invoke


def _short_circuit(name: str, arguments: list[Expression], final: Expression | None) -> Expression:
    """``and`` and ``or`` evaluate no further than needed, and give the deciding argument itself."""
    stop = name == "or"

    def decide(dot: Value, frame: Frame) -> Value:
        last = final(dot, frame) if final else None
        value: Value = None
        for argument in arguments:
            value = argument(dot, frame)
            if is_true(value) is stop:
                return value
        return last if final else value

    return decide


def _lenient(kind: str) -> str:
    return "nil or map" if kind == "map" else kind


def _typed(kind: str, operand: tree.Operand, value: Expression) -> Expression:
    """An argument converted to its parameter's type; literals are converted once, here."""
    if kind == "any":
        return value
    if isinstance(operand, tree.Const):
        try:
            constant = literal(kind, operand.value)
        except Fault as fault:
            message, hint = fault.message, fault.hint

            def fail(dot: Value, frame: Frame) -> Value:
                raise Fault(message, hint)

            return fail
        return lambda dot, frame: constant
    return _coerced(kind if getattr(operand, "fields", ()) else _lenient(kind), value, operand.at)


def _coerced(kind: str, value: Expression, at: int) -> Expression:
    """Check the type of a value. Nil that comes from a pipeline counts as an empty map, as in Go."""
    if kind == "any":
        return value
    if kind == "string":

        def text(dot: Value, frame: Frame) -> Value:
            result = value(dot, frame)
            if result.__class__ is not str:
                raise at_place(wrong_type("string", result), at)
            return result

        return text
    if kind == "nil or map":

        def mapping(dot: Value, frame: Frame) -> Value:
            result = value(dot, frame)
            return {} if result is None else located(COERCIONS["map"], at, result)

        return mapping
    check = COERCIONS[kind]
    return lambda dot, frame: located(check, at, value(dot, frame))
