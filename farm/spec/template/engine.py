# SPDX-License-Identifier: GPL-3.0-or-later
"""``render``: from a template's text and values to text, with caches and with the places of what comes out."""

from __future__ import annotations

import bisect
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from farm.spec.problem import FarmError, Place, Problem
from farm.spec.template import tree
from farm.spec.template.compiler import Compiler
from farm.spec.template.lexer import SPACES
from farm.spec.template.parser import parse
from farm.spec.template.printing import NO_VALUE
from farm.spec.template.state import Chunk, Compiled, State, joined, position
from farm.spec.template.values import Fault, Value, deep_copy

EXECUTION = "template-execution"
_HELM: dict[str, Any] = {
    "Release": {},
    "Chart": {},
    "Capabilities": {},
    "Files": {},
    "Template": {"Name": "templates/templates", "BasePath": "templates"},
}
_Span = tuple[int, bool, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Rendered:
    """The output ``text``, and the calls in it that depend on the time or on chance."""

    text: str
    impure: tuple[tuple[str, Place], ...]
    _spans: Callable[[], Sequence[_Span]] = dataclasses.field(repr=False, compare=False)
    _origin: _Origin = dataclasses.field(repr=False, compare=False)

    def place(self, line: int) -> tuple[str, int, int]:
        """(file, line, column) of what made the first character of a line of ``text``, counted from 1.

        The template is rendered a second time to find out.
        """
        return self._origin.locate(_source_offset(self.text, self._spans(), line))


@dataclasses.dataclass(frozen=True, slots=True)
class _Origin:
    """Which file an offset of the concatenated text belongs to."""

    names: tuple[str, ...]
    texts: tuple[str, ...]

    def locate(self, offset: int) -> tuple[str, int, int]:
        starts = [0]
        for text in self.texts[:-1]:
            starts.append(starts[-1] + len(text))
        index = bisect.bisect_right(starts, max(offset, 0)) - 1
        text, local = self.texts[index], max(offset, 0) - starts[index]
        return self.names[index], text.count("\n", 0, local) + 1, local - text.rfind("\n", 0, local)

    def place(self, offset: int) -> Place:
        return Place(*self.locate(offset))


@dataclasses.dataclass
class _Program:
    """Parsed texts, compiled for plain and, when asked for, for tracked execution."""

    nodes: list[tree.Node]
    size: int
    bodies: dict[str, tree.Body]
    complaints: list[tree.Complaint]
    mutates: bool
    plain: tuple[Compiled, dict[str, Compiled]]

    @functools.cached_property
    def tracked(self) -> tuple[Compiled, dict[str, Compiled]]:
        return _compile(Compiler(tracked=True), self.nodes, self.size, self.bodies)


def _compile(
    compiler: Compiler, nodes: list[tree.Node], size: int, bodies: dict[str, tree.Body]
) -> tuple[Compiled, dict[str, Compiled]]:
    return compiler.body(tree.Body(nodes, size)), {name: compiler.body(body) for name, body in bodies.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class _Head:
    """The shared texts, parsed and compiled once for all the files that follow them."""

    unit: tree.Unit
    length: int
    main: Compiled
    templates: dict[str, Compiled]


@functools.lru_cache(maxsize=64)
def _head(texts: tuple[str, ...]) -> _Head:
    text = "".join(texts)
    unit = parse(text, 0, {"$": 0}, False)
    if unit.complaints:
        return _Head(unit, len(text), Compiled([], 2), {})
    return _Head(unit, len(text), *_compile(Compiler(), unit.body.nodes, unit.body.size, unit.templates))


@functools.lru_cache(maxsize=256)
def _program(shared: tuple[str, ...], text: str) -> _Program:
    """The program of ``text`` with the shared texts in front of it."""
    head = _head(shared)
    split = text.startswith("{") and "".join(shared).endswith("{")
    if split or head.unit.complaints:
        # A shared text may be incomplete and go on in the file: then they are one text, as for luet.
        return _program((), "".join(shared) + text)
    unit = parse(text, head.length, head.unit.scope, head.unit.open_end)
    complaints = list(unit.complaints)
    for name, body in unit.templates.items():
        known = head.unit.templates.get(name)
        if known is not None and not tree.is_empty(known.nodes) and not tree.is_empty(body.nodes):
            message = f'template "{name}" is defined in the shared templates already'
            complaints.append(tree.Complaint("template-syntax", message, head.length))
    nodes = _trimmed(head.unit.body.nodes) if unit.trims_before else head.unit.body.nodes
    mutates = unit.mutates or head.unit.mutates
    bodies = {**head.unit.templates, **unit.templates}
    size = max(unit.body.size, head.unit.body.size)
    plain = _join(head, nodes, unit, size) if not complaints else (Compiled([], 2), {})
    return _Program([*nodes, *unit.body.nodes], size, bodies, complaints, mutates, plain)


def _trimmed(nodes: list[tree.Node]) -> list[tree.Node]:
    """The nodes in front of a ``{{-``."""
    if not nodes or not isinstance(nodes[-1], tree.Text):
        return nodes
    text = nodes[-1].text.rstrip(SPACES)
    return [*nodes[:-1], tree.Text(nodes[-1].at, text)] if text else nodes[:-1]


def _join(head: _Head, nodes: list[tree.Node], unit: tree.Unit, size: int) -> tuple[Compiled, dict[str, Compiled]]:
    compiler = Compiler()
    before = head.main.statements if nodes is head.unit.body.nodes else compiler.statements(nodes)
    templates = {name: compiler.body(body) for name, body in unit.templates.items()}
    statements = [*before, *compiler.statements(unit.body.nodes)]
    return Compiled(statements, size), {**head.templates, **templates}


def _compile_text(text: str) -> tuple[Compiled, dict[str, Compiled]]:
    """state.CompileText for the function tpl."""
    program = _program((), text)
    for complaint in program.complaints:
        raise Fault(f"{position(text, complaint.at)}: {complaint.message}", complaint.hint)
    return program.plain


def _execute(program: _Program, values: Mapping[str, Value], *, tracked: bool = False) -> tuple[list[Chunk], State]:
    main, templates = program.tracked if tracked else program.plain
    state = State(templates, _compile_text)
    data: dict[str, Any] = {"Values": values if isinstance(values, dict) else dict(values), **_HELM}
    out: list[Chunk] = []
    state.execute(main, deep_copy(data) if program.mutates else data, out)
    state.output = 0
    state.written(sum([len(chunk if chunk.__class__ is str else chunk[0]) for chunk in out]))
    return out, state


def render(
    text: str,
    values: Mapping[str, Any],
    *,
    name: str,
    shared: Sequence[tuple[str, str]] = (),
    spans: bool = False,
) -> Rendered:
    """Render the file ``name`` with ``.Values`` set to ``values``, which is plain data and is not changed.

    ``shared`` are (name, text) of the texts put in front of it. ``spans`` traces the output at once instead of
    when a place is asked for. Raises FarmError with all that is wrong with the text (codes template-syntax,
    template-unknown-function, template-arity), or with the first thing that goes wrong in its execution
    (template-execution).
    """
    origin = _Origin((*[file for file, _ in shared], name), (*[text for _, text in shared], text))
    try:
        program = _program(tuple([text for _, text in shared]), text)
    except RecursionError as error:
        raise _failed(error, origin) from None
    if program.complaints:
        raise FarmError(
            Problem(complaint.code, complaint.message, origin.place(complaint.at), complaint.hint)
            for complaint in program.complaints
        )
    try:
        out, state = _execute(program, values)
    except (Fault, RecursionError) as error:
        raise _failed(error, origin) from None
    impure = tuple([(function, origin.place(at)) for function, at in state.impure])
    trace = functools.partial(_trace, program, values)
    if spans:
        found = trace()
        trace = functools.partial(list, found)
    return Rendered(_utf8(joined(out).replace(NO_VALUE, "")), impure, trace, origin)


def _failed(error: Fault | RecursionError, origin: _Origin) -> FarmError:
    if isinstance(error, RecursionError):
        return FarmError(Problem(EXECUTION, "templates or values are nested too deeply", origin.place(0)))
    return FarmError(Problem(EXECUTION, error.message, origin.place(error.offset), error.hint))


def _utf8(text: str) -> str:
    """``text`` with the replacement character for bytes that are no UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _trace(program: _Program, values: Mapping[str, Any]) -> list[_Span]:
    """(start in the output, whether it is copied from the source, offset in the source) of each chunk."""
    try:
        out, _ = _execute(program, values, tracked=True)
    except (Fault, RecursionError):
        return []
    spans, start = [], 0
    for text, at, verbatim in out:
        spans.append((start, verbatim, at))
        start += len(text.replace(NO_VALUE, ""))
    return spans


def _source_offset(text: str, spans: Sequence[_Span], line: int) -> int:
    """The offset in the source of the first visible character of an output's line."""
    position = 0
    for _ in range(line - 1):
        following = text.find("\n", position) + 1
        if not following:
            break
        position = following
    end = text.find("\n", position)
    shown = text[position : end if end >= 0 else len(text)]
    position += len(shown) - len(shown.lstrip())
    index = bisect.bisect_right(spans, position, key=lambda span: span[0]) - 1
    if index < 0:
        return 0
    start, verbatim, at = spans[index]
    return at + position - start if verbatim else at
