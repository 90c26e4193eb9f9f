# SPDX-License-Identifier: GPL-3.0-or-later
"""What one execution of a template carries along, and the bounds that keep hostile input from hanging the farm."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from farm.spec.template.printing import NO_VALUE
from farm.spec.template.values import Fault, Value

MAX_DEPTH = 100
"""Templates inside templates (include, template, tpl)."""
MAX_STEPS = 500_000
"""Turns of loops and calls of templates in one execution; large results count as several."""
MAX_SIZE = 64 << 20
"""Length of the whole output, and of any text or list on the way."""
MAX_SECONDS = 30.0
"""CPU time of one execution: only absurd input comes near it."""
LARGE = 1 << 16
_CHECK_EVERY = 256

Chunk = Any
Statement = Callable[[Value, list[Any], list[Chunk]], int]
"""Executes one node: (dot, frame, output) -> 0, 1 for break or 2 for continue."""


def position(text: str, offset: int) -> str:
    """Where an offset is in a text given to ``tpl``."""
    offset = max(offset, 0)
    line = text.count("\n", 0, offset) + 1
    return f"in the text given to tpl, line {line}, column {offset - text.rfind(chr(10), 0, offset)}"


class Compiled:
    """One template, ready to be executed; ``size`` is that of its frame."""

    __slots__ = ("size", "statements")

    def __init__(self, statements: list[Statement], size: int) -> None:
        self.statements = statements
        self.size = size


def joined(out: list[Chunk]) -> str:
    """The text of an output."""
    return "".join([chunk if chunk.__class__ is str else chunk[0] for chunk in out])


CompileText = Callable[[str], tuple[Compiled, dict[str, Compiled]]]
"""Gives the template of a text and the templates it defines. Raises Fault when it is wrong."""


class State:
    """One execution: the templates it can call, what is left of its bounds, and its impure calls.

    ``impure`` holds (function, offset). A chunk of output is a text, or a pair of text and offset when tracked.
    """

    def __init__(self, templates: dict[str, Compiled], compile_text: CompileText) -> None:
        self.templates = templates
        self.compile = compile_text
        self.steps = MAX_STEPS
        self.depth = 0
        self.output = 0
        self.impure: list[tuple[str, int]] = []
        self.deadline = time.thread_time() + MAX_SECONDS

    def step(self, count: int = 1) -> None:
        """Count a turn of a loop or a call of a template. Raises Fault when there were too many."""
        before = self.steps
        self.steps = before - count
        if self.steps < 0:
            raise Fault(f"the template takes more than {MAX_STEPS} steps", "is a loop or a recursion without end?")
        if before // _CHECK_EVERY != self.steps // _CHECK_EVERY and time.thread_time() > self.deadline:
            raise Fault(f"the template takes more than {MAX_SECONDS:.0f} seconds")

    def charge(self, length: int) -> None:
        """Count a large result. Raises Fault when it is too large."""
        if length > MAX_SIZE:
            raise Fault(f"a value is longer than {MAX_SIZE >> 20} MiB")
        self.step(length >> 6)

    def written(self, length: int) -> None:
        """Count output. Raises Fault when it is too long."""
        self.output += length
        if self.output > MAX_SIZE:
            raise Fault(f"the output is longer than {MAX_SIZE >> 20} MiB")

    def run(self, name: str, data: Value, out: list[Chunk]) -> None:
        """Execute a defined template. Raises Fault when there is none of that name, or too many inside each other."""
        template = self.templates.get(name)
        if template is None:
            raise Fault(f'template "{name}" is not defined', self._known())
        if self.depth >= MAX_DEPTH:
            raise Fault(f"more than {MAX_DEPTH} templates inside each other", f'does "{name}" call itself?')
        self.execute(template, data, out)

    def execute(self, template: Compiled, data: Value, out: list[Chunk]) -> None:
        """Execute a template with a frame of its own."""
        self.step()
        self.depth += 1
        frame: list[Any] = [None] * template.size
        frame[0] = data
        frame[1] = self
        for statement in template.statements:
            statement(data, frame, out)
        self.depth -= 1

    def text(self, name: str, data: Value) -> str:
        """The output of a defined template."""
        out: list[Chunk] = []
        self.run(name, data, out)
        return joined(out)

    def evaluate(self, text: str, data: Value, at: int) -> str:
        """The output of ``text`` as a template (``tpl``, called at offset ``at``), which can use all templates."""
        if self.depth >= MAX_DEPTH:
            raise Fault(f"more than {MAX_DEPTH} templates inside each other", "does tpl call itself?")
        template, defined = self.compile(text)
        outer, count = self.templates, len(self.impure)
        out: list[Chunk] = []
        self.templates = {**outer, **defined}
        try:
            self.execute(template, data, out)
        except Fault as fault:
            raise Fault(f"{position(text, fault.offset)}: {fault.message}", fault.hint) from None
        self.templates = outer
        self.impure[count:] = [(name, at) for name, _ in self.impure[count:]]
        return joined(out).replace(NO_VALUE, "")

    def _known(self) -> str:
        names = ", ".join(sorted(self.templates)[:10])
        return f"defined are: {names}" if names else "no template is defined"
