# SPDX-License-Identifier: GPL-3.0-or-later
"""Go's text/template grammar. The parser goes on after an error, so that one run finds all of a file's."""

from __future__ import annotations

import dataclasses

from farm.spec.template import tree
from farm.spec.template.expressions import SYNTAX, Expressions, SyntaxProblem
from farm.spec.template.lexer import Lexer, Piece

MAX_DEPTH = 100


@dataclasses.dataclass(slots=True)
class _Block:
    """An open ``if``, ``with``, ``range``, ``define`` or ``block``.

    ``outer``, ``scope`` and ``loops`` are what holds again behind its end; ``inner`` are the variables that each
    of its parts starts with. ``chained``: it shares the ``end`` of the block around it (``else if``).
    """

    kind: str
    at: int
    outer: list[tree.Node]
    scope: dict[str, int]
    inner: dict[str, int]
    branch: tree.Branch | None = None
    name: str = ""
    size: int = 0
    loops: int = 0
    chained: bool = False
    seen_else: bool = False


class Parser:
    """Parses one source text into a Unit; ``scope`` are the variables declared in front of it."""

    def __init__(self, source: str, base: int, scope: dict[str, int], trim: bool) -> None:
        self.lexer = Lexer(source, base, trim)
        self.expressions = Expressions(dict(scope), max(scope.values()) + 1)
        self.complaints: list[tree.Complaint] = self.expressions.complaints
        self.templates: dict[str, tree.Body] = {}
        self.blocks: list[_Block] = []
        self.nodes: list[tree.Node] = []
        self.loops = 0
        self.broken = False

    def parse(self) -> tree.Unit:
        """The whole text. Never raises: what is wrong is in the Unit's complaints."""
        for piece in self.lexer.pieces():
            if piece.tokens is None:
                self.nodes.append(tree.Text(piece.at, piece.text))
            else:
                self._action(piece)
        for block in self.blocks:
            self._complain(f"unexpected end of file: {{{{{block.kind}}}}} has no {{{{end}}}}", block.at)
        while self.blocks:
            self._close(self.blocks.pop())
        state = self.expressions
        body = tree.Body(self.nodes, state.size)
        complaints = sorted(self.complaints, key=lambda complaint: complaint.at)
        lexer = self.lexer
        return tree.Unit(
            body, self.templates, complaints, state.scope, lexer.open_end, lexer.trims_before, state.mutates
        )

    def _complain(self, message: str, at: int, hint: str = "") -> None:
        self.complaints.append(tree.Complaint(SYNTAX, message, at, hint))

    def _action(self, piece: Piece) -> None:
        state = self.expressions
        state.start(piece)
        self.broken = piece.error is not None
        if piece.error is not None:
            self._complain(piece.error.message, piece.error.at)
        word = state.keyword()
        try:
            handler = getattr(self, f"_on_{word}", None) if word else None
            if handler is not None:
                handler(piece.at)
            else:
                pipe = state.pipeline("command")
                self.nodes.append(tree.Action(pipe.at, pipe))
        except SyntaxProblem as problem:
            if not self.broken:
                self._complain(problem.message, problem.at, problem.hint)
        except RecursionError:
            self._complain("the action is nested too deeply", piece.at)

    def _open(self, block: _Block) -> list[tree.Node]:
        if len(self.blocks) >= MAX_DEPTH:
            raise SyntaxProblem(f"more than {MAX_DEPTH} actions inside each other", block.at)
        self.blocks.append(block)
        self.nodes = []
        return self.nodes

    def _on_branch(self, kind: str, at: int, *, chained: bool = False) -> None:
        """The block is opened even when its pipeline is wrong, so that its ``end`` has a partner."""
        state = self.expressions
        outer, scope, loops = self.nodes, dict(state.scope), self.loops
        try:
            pipe = state.pipeline(kind)
        except SyntaxProblem as problem:
            pipe = tree.Pipe(at, [])
            if not self.broken:
                self._complain(problem.message, problem.at, problem.hint)
        branch = tree.Branch(pipe.at, kind, pipe, [], [])
        self.loops += kind == "range"
        inner = dict(state.scope)
        branch.body = self._open(_Block(kind, at, outer, scope, inner, branch, loops=loops, chained=chained))
        outer.append(branch)

    def _on_if(self, at: int) -> None:
        self._on_branch("if", at)

    def _on_with(self, at: int) -> None:
        self._on_branch("with", at)

    def _on_range(self, at: int) -> None:
        self._on_branch("range", at)

    def _on_else(self, at: int) -> None:
        block = self.blocks[-1] if self.blocks else None
        if block is None or block.branch is None:
            raise SyntaxProblem("unexpected {{else}}", at)
        if block.seen_else:
            raise SyntaxProblem(f"expected {{{{end}}}}; found a second {{{{else}}}} of {{{{{block.kind}}}}}", at)
        block.seen_else = True
        self.loops = block.loops
        self.nodes = block.branch.otherwise
        self.expressions.scope = dict(block.inner)
        word = self.expressions.keyword()
        if word is None:
            self.expressions.expect_close("else")
        elif word == block.kind and word in ("if", "with"):
            self._on_branch(word, at, chained=True)
        else:
            raise SyntaxProblem(f"unexpected {word} in else", at)

    def _on_end(self, at: int) -> None:
        if not self.blocks:
            raise SyntaxProblem("unexpected {{end}}", at, "there is no open if, range, with, define or block")
        while True:
            block = self.blocks.pop()
            self._close(block)
            if not block.chained:
                break
        self.expressions.expect_close("end")

    def _close(self, block: _Block) -> None:
        state = self.expressions
        if block.branch is None:
            self._add_template(block.name, tree.Body(self.nodes, state.size), block.at)
            state.size = block.size
        self.nodes, state.scope, self.loops = block.outer, block.scope, block.loops

    def _add_template(self, name: str, body: tree.Body, at: int) -> None:
        known = self.templates.get(name)
        if known is not None and not tree.is_empty(known.nodes):
            if not tree.is_empty(body.nodes):
                self._complain(f'template "{name}" is defined twice', at)
            return
        self.templates[name] = body

    def _on_define(self, at: int) -> None:
        name = self.expressions.template_name("define clause")
        if self.blocks:
            self._complain("unexpected {{define}} inside another action", at, "define templates at the top level")
        self._open_template("define", name, at)
        self.expressions.expect_close("define clause")

    def _open_template(self, kind: str, name: str, at: int) -> None:
        state = self.expressions
        block = _Block(kind, at, self.nodes, state.scope, {}, None, name, state.size, self.loops)
        self._open(block)
        state.scope, state.size, self.loops = {"$": 0}, 2, 0

    def _on_block(self, at: int) -> None:
        name = self.expressions.template_name("block clause")
        pipe = self.expressions.pipeline("block clause")
        self.nodes.append(tree.Invoke(at, name, pipe))
        self._open_template("block", name, at)

    def _on_template(self, at: int) -> None:
        name = self.expressions.template_name("template clause")
        pipe = None if self.expressions.at_close() else self.expressions.pipeline("template clause")
        self.nodes.append(tree.Invoke(at, name, pipe))

    def _on_break(self, at: int) -> None:
        self._jump("break", 1, at)

    def _on_continue(self, at: int) -> None:
        self._jump("continue", 2, at)

    def _jump(self, word: str, code: int, at: int) -> None:
        if not self.loops:
            raise SyntaxProblem(f"{{{{{word}}}}} outside {{{{range}}}}", at)
        self.nodes.append(tree.Jump(at, code))
        self.expressions.expect_close(word)


def parse(source: str, base: int, scope: dict[str, int], trim: bool) -> tree.Unit:
    """Parse ``source``, the offset of whose first character is ``base``."""
    return Parser(source, base, scope, trim).parse()
