# SPDX-License-Identifier: GPL-3.0-or-later
"""Search for Go's regular expressions: with Python's ``re``, or, where that could take forever, in linear time.

Python's matcher tries one way after the other, so that ``(a+)+$`` takes exponential time. Expressions with a
repetition inside a repetition, and long texts for expressions with many of them, go to a simulation of the
automaton (Pike's algorithm) instead, which steps through all ways at once.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator

from farm.spec.template.regexsyntax import (
    Assertion,
    Chars,
    Choice,
    Expression,
    Group,
    Node,
    Repeat,
    Sequence,
    parse,
)
from farm.spec.template.values import Fault

Spans = list[tuple[int, int]]
"""(start, end) of the match and of each group; (-1, -1) for a group that took no part."""
MAX_PROGRAM = 20_000
MAX_SLOW_TEXT = 1 << 18
_MAX_TRIES = 10**10
_ASSERTIONS = {
    "start": r"\A",
    "end": r"\Z",
    "line-start": "(?m:^)",
    "line-end": "(?m:$)",
    "word": r"(?a:\b)",
    "not-word": r"(?a:(?!\b))",
}


def _escaped(code: int) -> str:
    return f"\\U{code:08x}" if code > 0xFFFF else f"\\u{code:04x}" if code > 127 else re.escape(chr(code))


def _class(chars: Chars) -> str:
    if not chars.ranges:
        return r"(?s:.)" if chars.negated else r"(?!)"
    if len(chars.ranges) == 1 and chars.ranges[0][0] == chars.ranges[0][1] and not chars.negated:
        text = _escaped(chars.ranges[0][0])
    else:
        parts = (f"\\U{low:08x}-\\U{high:08x}" for low, high in chars.ranges)
        text = f"[{'^' if chars.negated else ''}{''.join(parts)}]"
    return f"(?i:{text})" if chars.fold else text


def _python(node: Node) -> str:
    """The same expression for Python's ``re``."""
    if isinstance(node, Chars):
        return _class(node)
    if isinstance(node, Assertion):
        return _ASSERTIONS[node.kind]
    if isinstance(node, Sequence):
        return "".join(f"(?:{_python(item)})" if isinstance(item, Choice) else _python(item) for item in node.items)
    if isinstance(node, Choice):
        return "|".join(map(_python, node.items))
    if isinstance(node, Group):
        return f"({_python(node.node)})"
    inner = _python(node.node)
    inner = inner if isinstance(node.node, (Chars, Group)) else f"(?:{inner})"
    most = "" if node.most is None else str(node.most)
    return f"{inner}{{{node.least},{most}}}{'' if node.greedy else '?'}"


def _repeats(node: Node) -> tuple[int, bool]:
    """How many repetitions without a bound there are, and whether a repetition is inside of another."""
    if isinstance(node, (Sequence, Choice)):
        found = [_repeats(item) for item in node.items]
        return sum(count for count, _ in found), any(nested for _, nested in found)
    if isinstance(node, Group):
        return _repeats(node.node)
    if not isinstance(node, Repeat):
        return 0, False
    count, nested = _repeats(node.node)
    many = node.most is None or node.most > 9
    variable = many and node.most != node.least
    return count + variable, nested or (many and (count > 0 or _is_ambiguous(node.node)))


def _is_ambiguous(node: Node) -> bool:
    """Whether a node, repeated, can match the same text in several ways: ``(a|a)*``, ``(a?b?)*``."""
    if isinstance(node, Group):
        return _is_ambiguous(node.node)
    if isinstance(node, (Sequence, Choice)):
        return isinstance(node, Choice) or any(map(_is_ambiguous, node.items))
    return isinstance(node, Repeat)


@dataclasses.dataclass(slots=True)
class _Step:
    """An instruction. ``test``: of a character or, for ``assert``, of a position; ``ways``: where to go on."""

    kind: str
    test: Callable[..., object] | None = None
    slot: int = 0
    ways: tuple[int, ...] = ()


class _Program:
    """The instructions of an automaton."""

    def __init__(self, node: Node) -> None:
        self.code: list[_Step] = []
        self.emit(_Step("save", slot=0))
        self.node(node)
        self.emit(_Step("save", slot=1))
        self.emit(_Step("match"))

    def emit(self, step: _Step) -> int:
        """Append an instruction, which goes on to the next one unless that is changed later."""
        if len(self.code) >= MAX_PROGRAM:
            raise Fault("error parsing regexp: expression is too large")
        self.code.append(step)
        step.ways = (len(self.code),)
        return len(self.code) - 1

    def node(self, node: Node) -> None:
        if isinstance(node, Chars):
            self.emit(_Step("char", _tester(node)))
        elif isinstance(node, Assertion):
            self.emit(_Step("assert", re.compile(_ASSERTIONS[node.kind]).match))
        elif isinstance(node, Sequence):
            for item in node.items:
                self.node(item)
        elif isinstance(node, Choice):
            self.choice(node)
        elif isinstance(node, Group):
            self.emit(_Step("save", slot=node.index * 2))
            self.node(node.node)
            self.emit(_Step("save", slot=node.index * 2 + 1))
        else:
            self.repeat(node)

    def choice(self, node: Choice) -> None:
        jumps = []
        for item in node.items[:-1]:
            split = self.emit(_Step("go"))
            self.node(item)
            jumps.append(self.emit(_Step("go")))
            self.code[split].ways = (split + 1, len(self.code))
        self.node(node.items[-1])
        for jump in jumps:
            self.code[jump].ways = (len(self.code),)

    def repeat(self, node: Repeat) -> None:
        for _ in range(node.least if node.most is not None else node.least - 1):
            self.node(node.node)
        if node.most is None:
            self.endless(node)
            return
        splits = []
        for _ in range(node.most - node.least):
            splits.append(self.emit(_Step("go")))
            self.node(node.node)
        for split in splits:
            self.branch(split, split + 1, node.greedy)

    def endless(self, node: Repeat) -> None:
        """``x+``, as Go has it: the text once, then back to it. ``x*`` is ``(x+)?``."""
        skip = self.emit(_Step("go")) if node.least == 0 else -1
        start = len(self.code)
        self.node(node.node)
        self.branch(self.emit(_Step("go")), start, node.greedy)
        if skip >= 0:
            self.branch(skip, start, node.greedy)

    def branch(self, split: int, inner: int, greedy: bool) -> None:
        ways = (inner, len(self.code))
        self.code[split].ways = ways if greedy else ways[::-1]


def _tester(chars: Chars) -> Callable[[str], bool]:
    match = re.compile(_class(chars)).match
    return functools.lru_cache(maxsize=512)(lambda char: match(char) is not None)


_Thread = tuple[int, tuple[int, ...]]
"""The next instruction, and the captures so far."""


class _Automaton:
    """Pike's algorithm: a thread for each way, in order of preference, all at the same character."""

    def __init__(self, node: Node, groups: int) -> None:
        self.code = _Program(node).code
        self.slots = 2 * (groups + 1)

    def search(self, text: str, start: int) -> Spans | None:
        if len(text) > MAX_SLOW_TEXT:
            raise Fault(f"the regular expression is too costly for a text of more than {MAX_SLOW_TEXT >> 10} KiB")
        found: tuple[int, ...] | None = None
        threads: list[_Thread] = []
        for at in range(start, len(text) + 1):
            seeds = threads if found else [*threads, (0, (-1,) * self.slots)]
            if not seeds:
                break
            threads, match = self.step(text, at, seeds)
            found = match or found
        return None if found is None else list(zip(found[::2], found[1::2], strict=True))

    def step(self, text: str, at: int, seeds: list[_Thread]) -> tuple[list[_Thread], tuple[int, ...] | None]:
        """The threads behind the character at ``at``, and the captures of a match that ends in front of it."""
        after: list[_Thread] = []
        seen = bytearray(len(self.code))
        char = text[at : at + 1]
        stack = seeds[::-1]
        while stack:
            pc, captures = stack.pop()
            if seen[pc]:
                continue
            seen[pc] = 1
            step = self.code[pc]
            if step.kind == "match":
                return after, captures
            if step.kind == "char":
                if char and step.test and step.test(char):
                    after.append((pc + 1, captures))
                continue
            if step.kind == "assert" and step.test and step.test(text, at) is None:
                continue
            if step.kind == "save":
                captures = (*captures[: step.slot], at, *captures[step.slot + 1 :])
            stack += [(way, captures) for way in reversed(step.ways)]
        return after, None


class Regex:
    """A compiled expression."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        self.names = expression.names
        self._python = re.compile(_python(expression.node))
        self._repeats, self._nested = _repeats(expression.node)
        self._automaton: _Automaton | None = None

    def search(self, text: str, start: int = 0) -> Spans | None:
        """The leftmost match from ``start`` on, as (start, end) of it and of its groups."""
        if self._nested or len(text) ** (min(self._repeats, 6) + 1) > _MAX_TRIES:
            if self._automaton is None:
                self._automaton = _Automaton(self.expression.node, self.expression.groups)
            return self._automaton.search(text, start)
        match = self._python.search(text, start)
        return [match.span(index) for index in range(self.expression.groups + 1)] if match else None

    def find_all(self, text: str) -> Iterator[Spans]:
        """All matches that do not overlap; none that is empty right behind another."""
        start, previous = 0, -1
        while start <= len(text):
            spans = self.search(text, start)
            if spans is None:
                return
            first, end = spans[0]
            if first != end or first != previous:
                yield spans
            start = end if end > start else start + 1
            previous = end


@functools.lru_cache(maxsize=1024)
def compile_regex(text: str) -> Regex:
    """The expression ``text``. Raises Fault when Go would not accept it."""
    return Regex(parse(text))
