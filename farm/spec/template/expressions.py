# SPDX-License-Identifier: GPL-3.0-or-later
"""The grammar inside one action: pipelines, commands, operands."""

from __future__ import annotations

import difflib

from farm.spec.template import literals, tree
from farm.spec.template.lexer import Piece, Token
from farm.spec.template.registry import FUNCTIONS

SYNTAX = "template-syntax"
UNKNOWN_FUNCTION = "template-unknown-function"
ARITY = "template-arity"
MAX_PARENTHESES = 50
FRAME_SIZE = 2
"""A frame's first slots: ``$`` and the state of the execution."""

_KEYWORDS = frozenset(
    ["block", "break", "continue", "define", "else", "end", "if", "range", "nil", "template", "with"]  # nil only as an operand
)
_HOST = {
    "env": "a package must not depend on the environment of the machine that renders it",
    "expandenv": "a package must not depend on the environment of the machine that renders it",
}
_END = Token("close", "}}", -1)


class SyntaxProblem(Exception):
    """What is wrong inside an action."""

    def __init__(self, message: str, at: int, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.hint = hint


def _takes_arguments(operand: tree.Operand) -> bool:
    if isinstance(operand, tree.Variable):
        return bool(operand.fields)
    return isinstance(operand, (tree.Name, tree.Field, tree.Chain))


class Expressions:
    """Reads the tokens of one action at a time. ``scope`` maps visible variables to slots of a frame."""

    def __init__(self, scope: dict[str, int], size: int) -> None:
        self.scope = scope
        self.size = max(size, FRAME_SIZE)
        self.complaints: list[tree.Complaint] = []
        self.mutates = False
        self.tokens: list[Token] = []
        self.position = 0
        self.depth = 0

    def start(self, piece: Piece) -> None:
        """Go to the first token of an action."""
        self.tokens = piece.tokens or []
        if piece.error is not None or not self.tokens or self.tokens[-1].kind != "close":
            self.tokens = [*self.tokens, Token("close", "}}", piece.at)]
        self.position = 0
        self.depth = 0

    def _next(self) -> Token:
        """The next token that is not white space; the last one again and again."""
        token = self.tokens[self.position]
        while token.kind == "space":
            self.position += 1
            token = self.tokens[self.position]
        if token.kind != "close":
            self.position += 1
        return token

    def _peek(self) -> Token:
        position = self.position
        token = self._next()
        self.position = position
        return token

    def keyword(self) -> str | None:
        """Take the keyword that is next, if there is one."""
        token = self._peek()
        if token.kind != "word" or token.text not in _KEYWORDS or token.text == "nil":
            return None
        self._next()
        return token.text

    def at_close(self) -> bool:
        """Whether nothing is left of the action."""
        return self._peek().kind == "close"

    def expect_close(self, context: str) -> None:
        """Raises SyntaxProblem when something is left of the action."""
        token = self._peek()
        if token.kind != "close":
            raise SyntaxProblem(f"unexpected {token.text} in {context}", token.at)

    def template_name(self, context: str) -> str:
        """The quoted name that is next."""
        token = self._next()
        if token.kind not in ("string", "raw"):
            raise SyntaxProblem(f"unexpected {token.text} in {context}", token.at, "a quoted name is expected")
        return self._unquote(token)

    def _unquote(self, token: Token) -> str:
        try:
            return literals.unquote(token.text)
        except ValueError as error:
            raise SyntaxProblem(str(error), token.at) from None

    def pipeline(self, context: str) -> tree.Pipe:
        """A pipeline up to the end of the action, with declarations in front."""
        return self._pipeline(context, "close")

    def _pipeline(self, context: str, end: str) -> tree.Pipe:
        first = self._peek()
        names, assign = self._declarations(context)
        pipe = tree.Pipe(first.at, [])
        while (token := self._peek()).kind != end:
            if token.kind in ("close", "shut", "pipe", "declare", "assign", "other"):
                what = "unclosed left paren" if token.kind == "close" else f"unexpected {token.text} in {context}"
                raise SyntaxProblem(what, first.at if token.kind == "close" else token.at)
            pipe.commands.append(self._command(context))
        self._next()
        self._check(pipe, context)
        pipe.slots = tuple(self._assigned(name) if assign else self._declared(name.text) for name in names)
        return pipe

    def _declarations(self, context: str) -> tuple[list[Token], bool]:
        start = self.position
        names: list[Token] = []
        while (token := self._next()).kind == "variable":
            names.append(token)
            mark = self._next()
            if mark.kind in ("declare", "assign"):
                if len(names) > (2 if context == "range" else 1):
                    raise SyntaxProblem(f"too many declarations in {context}", names[-1].at)
                return names, mark.kind == "assign"
            if mark.text != ",":
                break
            if context != "range":
                raise SyntaxProblem(f"too many declarations in {context}", mark.at)
        self.position = start
        return [], False

    def _declared(self, name: str) -> int:
        slot = self.scope[name] = self.size
        self.size += 1
        return slot

    def _assigned(self, token: Token) -> int:
        if token.text not in self.scope:
            raise SyntaxProblem(f'undefined variable "{token.text}"', token.at, "declare it with :=")
        return self.scope[token.text]

    def _check(self, pipe: tree.Pipe, context: str) -> None:
        if not pipe.commands:
            raise SyntaxProblem(f"missing value for {context}", pipe.at)
        for index, command in enumerate(pipe.commands):
            first, *others = command.operands
            if index and isinstance(first, (tree.Const, tree.Dot)):
                raise SyntaxProblem(f"non executable command in pipeline stage {index + 1}", command.at)
            if isinstance(first, tree.Const) and first.value is None:
                raise SyntaxProblem("nil is not a command", first.at)
            if (index or others) and not _takes_arguments(first):
                raise SyntaxProblem("can't give argument to non-function", first.at)
            self._check_arity(first, len(others) + (index > 0))
            for operand in others:
                self._check_arity(operand, 0)

    def _check_arity(self, operand: tree.Operand, count: int) -> None:
        if isinstance(operand, tree.Chain):
            operand, count = operand.node, 0
        if isinstance(operand, tree.Name) and operand.name in FUNCTIONS:
            problem = FUNCTIONS[operand.name].arity_problem(count)
            if problem:
                self.complaints.append(tree.Complaint(ARITY, problem, operand.at))

    def _command(self, context: str) -> tree.Command:
        command = tree.Command(self._peek().at, [])
        while True:
            command.operands.append(self._operand(context))
            token = self.tokens[self.position]
            if token.kind == "space":
                token = self._peek()
                if token.kind not in ("close", "shut", "pipe"):
                    continue
            if token.kind == "pipe":
                self._next()
                if self._peek().kind in ("close", "shut"):
                    raise SyntaxProblem("missing command after |", token.at)
            elif token.kind not in ("close", "shut"):
                raise SyntaxProblem(f"unexpected {token.text} in operand", token.at, "is a space missing?")
            return command

    def _operand(self, context: str) -> tree.Operand:
        token = self._next()
        node = self._term(token, context)
        fields: list[str] = []
        while self.tokens[self.position].kind == "field":
            fields.append(self.tokens[self.position].text[1:])
            self.position += 1
        if not fields:
            return node
        if isinstance(node, (tree.Field, tree.Variable)):
            node.fields += tuple(fields)
            return node
        if isinstance(node, (tree.Const, tree.Dot)):
            raise SyntaxProblem(f"unexpected . after term {token.text}", token.at)
        return tree.Chain(token.at, node, tuple(fields))

    def _term(self, token: Token, context: str) -> tree.Operand:
        kind, text, at = token
        if kind == "field":
            return tree.Field(at, (text[1:],))
        if kind == "word":
            return self._word(text, at, context)
        if kind in ("string", "raw"):
            return tree.Const(at, self._unquote(token))
        if kind == "variable":
            return tree.Variable(at, self._used(token), ())
        if kind == "dot":
            return tree.Dot(at)
        if kind in ("number", "char"):
            try:
                return tree.Const(at, literals.number(text) if kind == "number" else literals.character(text))
            except ValueError as error:
                raise SyntaxProblem(str(error), at) from None
        if kind == "open":
            return self._parenthesis(at)
        raise SyntaxProblem(f"unexpected {text} in {context}", at)

    def _used(self, token: Token) -> int:
        slot = self.scope.get(token.text)
        if slot is None:
            close = difflib.get_close_matches(token.text, self.scope, n=1)
            hint = f"did you mean {close[0]}?" if close else "declare it with :="
            raise SyntaxProblem(f'undefined variable "{token.text}"', token.at, hint)
        return slot

    def _parenthesis(self, at: int) -> tree.Operand:
        self.depth += 1
        if self.depth > MAX_PARENTHESES:
            raise SyntaxProblem(f"more than {MAX_PARENTHESES} parentheses inside each other", at)
        pipe = self._pipeline("parenthesized pipeline", "shut")
        self.depth -= 1
        return pipe

    def _word(self, text: str, at: int, context: str) -> tree.Operand:
        if text in ("true", "false"):
            return tree.Const(at, text == "true")
        if text == "nil":
            return tree.Const(at, None)
        if text in _KEYWORDS:
            raise SyntaxProblem(f"unexpected {text} in {context}", at)
        function = FUNCTIONS.get(text)
        if function is None:
            close = difflib.get_close_matches(text, FUNCTIONS, n=3)
            hint = _HOST.get(text) or (f"did you mean {' or '.join(close)}?" if close else "")
            message = f'function "{text}" is not defined'
            self.complaints.append(tree.Complaint(UNKNOWN_FUNCTION, message, at, hint))
        elif function.mutates:
            self.mutates = True
        return tree.Name(at, text)
