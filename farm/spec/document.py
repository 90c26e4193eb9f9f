# SPDX-License-Identifier: GPL-3.0-or-later
"""A file that is a template of YAML: rendered, parsed, and every position brought back to the template's text."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from farm.spec.problem import FarmError, Place, Problem
from farm.spec.scan import printable, read_regular
from farm.spec.yamltext import Parsed, Shape, decode, parse

Shared = Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A text file of a spec: its absolute path, and its content."""

    path: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Rendered:
    """What a template gave. ``data`` is the document, {} for an empty one."""

    parsed: Parsed
    problems: list[Problem]

    @property
    def data(self) -> Any:
        """The document's data."""
        return {} if self.parsed.data is None else self.parsed.data

    @property
    def refused(self) -> list[Problem]:
        """What makes a file of the farm's own formats wrong: errors, a second document (spec files may have it)."""
        second = [dataclasses.replace(p, severity="error") for p in self.problems if p.code == "several-documents"]
        return [*(p for p in self.problems if p.severity == "error"), *second]


def open_source(path: str, content: bytes | None = None) -> tuple[Source | None, list[Problem]]:
    """Reads a text file (``content`` when its bytes are there already). None with the problem when it cannot be."""
    shown = printable(path)
    try:
        content = read_regular(path) if content is None else content
    except OSError as e:
        return None, [Problem("unreadable-file", f"cannot be read: {e.strerror or e}", Place(shown))]
    text, problems = decode(content, shown)
    return (None if problems else Source(shown, text)), problems


def render_document(source: Source, values: Mapping[str, Any], shared: Shared, shape: Shape) -> Rendered:
    """Renders a template with ``.Values`` and parses what it gives."""
    if "{{" not in source.text and not shared:
        parsed = parse(source.text, source.path, shape)
        return Rendered(parsed, parsed.problems)
    from farm.spec.template import render

    try:
        output = render(source.text, values, name=source.path, shared=shared)
    except FarmError as e:
        nothing = Parsed(None, [], lambda line, column: Place(source.path, line, column))
        return Rendered(nothing, list(e.problems))
    parsed = parse(output.text, _places(source, output), shape)
    impure = [_impure(function, place) for function, place in output.impure]
    return Rendered(parsed, [*parsed.problems, *impure])


def _places(source: Source, output: Any) -> Callable[[int, int], Place]:
    """Gives the place in the template of a line and column of its output."""

    def where(line: int, column: int) -> Place:
        name, at, start = output.place(line)
        unchanged = name == source.path and _line(source.text, at) == _line(output.text, line)
        return Place(name, at, column if unchanged else start)

    return where


def _line(text: str, number: int) -> str | None:
    return next(itertools.islice(text.split("\n"), number - 1, None), None)


def _impure(function: str, place: Place) -> Problem:
    message = f"the template's result changes by itself: it uses {function}"
    hint = "put the value into a value file, so that the same spec always gives the same build"
    return Problem("impure-template", message, place, hint, "warning")
