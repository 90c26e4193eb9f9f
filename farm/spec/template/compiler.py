# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a parsed template into Python closures.

An expression is ``value = expression(dot, frame)``, a statement ``jump = statement(dot, frame, out)``. A frame is
a list: ``$`` first, then the State, then the variables, whose slots the parser assigned.
"""

from __future__ import annotations

from typing import Any

from farm.spec.template import access, calls, tree
from farm.spec.template.calls import Expression, located
from farm.spec.template.printing import printed
from farm.spec.template.state import LARGE, Compiled, State, Statement
from farm.spec.template.values import Fault, Value, is_true, kind_of, sorted_keys

Frame = list[Any]


class Compiler:
    """``tracked``: statements write (text, offset, copied from the source) instead of text."""

    def __init__(self, *, tracked: bool = False) -> None:
        self.tracked = tracked

    def body(self, body: tree.Body) -> Compiled:
        """A whole template."""
        return Compiled(self.statements(body.nodes), body.size)

    def statements(self, nodes: list[tree.Node]) -> list[Statement]:
        """Each node as a closure."""
        return [self._statement(node) for node in nodes]

    def _statement(self, node: tree.Node) -> Statement:
        if isinstance(node, tree.Text):
            return self._text(node)
        if isinstance(node, tree.Action):
            return self._action(node)
        if isinstance(node, tree.Invoke):
            return self._invoke(node)
        if isinstance(node, tree.Jump):
            code = node.code
            return lambda dot, frame, out: code
        return self._range(node) if node.kind == "range" else self._choice(node)

    def _text(self, node: tree.Text) -> Statement:
        chunk: Any = (node.text, node.at, True) if self.tracked else node.text

        def text(dot: Value, frame: Frame, out: list[Any]) -> int:
            out.append(chunk)
            return 0

        return text

    def _action(self, node: tree.Action) -> Statement:
        expression, at, tracked = self.pipe(node.pipe), node.at, self.tracked
        if node.pipe.slots:

            def declare(dot: Value, frame: Frame, out: list[Any]) -> int:
                expression(dot, frame)
                return 0

            return declare

        def action(dot: Value, frame: Frame, out: list[Any]) -> int:
            value = expression(dot, frame)
            if value.__class__ is not str:
                value = located(printed, at, value)
            if len(value) > LARGE:
                located(frame[1].written, at, len(value))
            out.append((value, at, False) if tracked else value)
            return 0

        return action

    def _invoke(self, node: tree.Invoke) -> Statement:
        data = self.pipe(node.pipe) if node.pipe else lambda dot, frame: None
        name, at = node.name, node.at

        def invoke(dot: Value, frame: Frame, out: list[Any]) -> int:
            located(frame[1].run, at, name, data(dot, frame), out)
            return 0

        return invoke

    def _block(self, nodes: list[tree.Node]) -> Statement:
        statements = self.statements(nodes)
        if len(statements) == 1:
            return statements[0]

        def block(dot: Value, frame: Frame, out: list[Any]) -> int:
            for statement in statements:
                jump = statement(dot, frame, out)
                if jump:
                    return jump
            return 0

        return block

    def _choice(self, node: tree.Branch) -> Statement:
        condition, with_dot = self.pipe(node.pipe), node.kind == "with"
        body, otherwise = self._block(node.body), self._block(node.otherwise)

        def choice(dot: Value, frame: Frame, out: list[Any]) -> int:
            value = condition(dot, frame)
            if is_true(value):
                return body(value if with_dot else dot, frame, out)
            return otherwise(dot, frame, out)

        return choice

    def _range(self, node: tree.Branch) -> Statement:
        source, at = self.pipe(node.pipe, assign=False), node.at
        body, otherwise = self._block(node.body), self._block(node.otherwise)
        slots = node.pipe.slots
        key_slot = slots[0] if len(slots) == 2 else 0
        value_slot = slots[-1] if slots else 0

        def loop(dot: Value, frame: Frame, out: list[Any]) -> int:
            items = located(_pairs, at, source(dot, frame))
            if not items:
                return otherwise(dot, frame, out)
            state: State = frame[1]
            for key, value in items:
                if key_slot:
                    frame[key_slot] = key
                if value_slot:
                    frame[value_slot] = value
                start = len(out)
                located(state.step, at)
                jump = body(value, frame, out)
                located(_account, at, state, out, start)
                if jump == 1:
                    break
            return 0

        return loop

    def pipe(self, pipe: tree.Pipe, *, assign: bool = True) -> Expression:
        """A pipeline, each command's value being the last argument of the next one."""
        value: Expression | None = None
        for command in pipe.commands:
            value = self._command(command, value)
        assert value is not None
        slots = pipe.slots
        if not slots or not assign:
            return value
        slot, inner = slots[0], value

        def declare(dot: Value, frame: Frame) -> Value:
            result = frame[slot] = inner(dot, frame)
            return result

        return declare

    def _command(self, command: tree.Command, final: Expression | None) -> Expression:
        first, *others = command.operands
        if isinstance(first, tree.Name):
            return calls.call(first, [(node, self._operand(node)) for node in others], final)
        if not others and final is None:
            return self._operand(first)
        return self._method(first, [self._operand(node) for node in others], final)

    def _method(self, node: tree.Operand, arguments: list[Expression], final: Expression | None) -> Expression:
        """``.a.b argument``: only a method can take it."""
        fields, at = getattr(node, "fields", ()), node.at
        receiver = self._receiver(node)

        def method(dot: Value, frame: Frame) -> Value:
            last = [final(dot, frame)] if final else []
            args = [argument(dot, frame) for argument in arguments] + last
            return located(access.walk, at, receiver(dot, frame), fields, args)

        return method

    def _receiver(self, node: tree.Operand) -> Expression:
        if isinstance(node, tree.Variable):
            slot = node.slot
            return lambda dot, frame: frame[slot]
        if isinstance(node, tree.Chain):
            return self._operand(node.node)
        return lambda dot, frame: dot

    def _operand(self, node: tree.Operand) -> Expression:
        if isinstance(node, tree.Const):
            value = node.value
            return lambda dot, frame: value
        if isinstance(node, tree.Dot):
            return lambda dot, frame: dot
        if isinstance(node, tree.Pipe):
            return self.pipe(node)
        if isinstance(node, tree.Name):
            return calls.call(node, [], None)
        if isinstance(node, tree.Field):
            return _fields(node)
        receiver, fields, at = self._receiver(node), node.fields, node.at
        if not fields:
            return receiver
        return lambda dot, frame: located(access.walk, at, receiver(dot, frame), fields)


def _fields(node: tree.Field) -> Expression:
    """``.a.b``: straight look-ups for maps that have the keys, else the rules of access.walk."""
    fields, at = node.fields, node.at
    if len(fields) == 2:
        first, second = fields

        def two(dot: Value, frame: Frame) -> Value:
            try:
                return dot[first][second]
            except (KeyError, TypeError):
                return located(access.walk, at, dot, fields)

        return two
    if len(fields) == 3:
        first, second, third = fields

        def three(dot: Value, frame: Frame) -> Value:
            try:
                return dot[first][second][third]
            except (KeyError, TypeError):
                return located(access.walk, at, dot, fields)

        return three
    return lambda dot, frame: located(access.walk, at, dot, fields)


def _account(state: State, out: list[Any], start: int) -> None:
    """Count what one turn of a loop wrote; an outer loop counts it again, and so has less room."""
    state.written(sum([len(chunk if chunk.__class__ is str else chunk[0]) for chunk in out[start:]]))


def _pairs(value: Value) -> Any:
    """What a range goes over: (index, element) of a list, (key, value) of a map, (i, i) of an int."""
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted_keys(value)]
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if value is None:
        return ()
    if isinstance(value, int) and not isinstance(value, bool):
        return zip(range(value), range(value), strict=True) if value > 0 else ()
    raise Fault(f"range can't iterate over a {kind_of(value)}")
