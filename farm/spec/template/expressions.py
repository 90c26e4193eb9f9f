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

_KEYWORDS = frozenset(["block", "break", "continue", "define", "else", "end", "if", "range", "nil", "template", "with"])
_NO_OPERANDS = frozenset(("shut", "pipe", "declare", "assign", "other"))
_ENVIRONMENT = "a package must not depend on the environment of the machine that renders it"
_SECRETS = "keys, certificates and encryption have no place in a package: the farm leaves them out"
_LEFT_OUT = {
    "env": _ENVIRONMENT,
    "expandenv": _ENVIRONMENT,
    **dict.fromkeys(
        (
            *("bcrypt", "htpasswd", "encryptAES", "decryptAES", "genPrivateKey", "genCA", "genCAWithKey"),
            *("genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey"),
            "buildCustomCert",
        ),
        _SECRETS,
    ),
}


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
        if piece.error is not None:
            self.tokens = [*self.tokens, ("close", "}}", piece.at, True)]
        self.position = 0
        self.depth = 0

    def _next(self) -> Token:
        """Take the next token; the last one again and again."""
        token = self.tokens[self.position]
        if token[0] != "close":
            self.position += 1
        return token

    def _peek(self) -> Token:
        return self.tokens[self.position]

    def keyword(self) -> str | None:
        """Take the keyword that is next, if there is one."""
        kind, text, _, _ = self._peek()
        if kind != "word" or text not in _KEYWORDS or text == "nil":
            return None
        self._next()
        return text

    def at_close(self) -> bool:
        """Whether nothing is left of the action."""
        return self._peek()[0] == "close"

    def expect_close(self, context: str) -> None:
        """Raises SyntaxProblem when something is left of the action."""
        kind, text, at, _ = self._peek()
        if kind != "close":
            raise SyntaxProblem(f"unexpected {text} in {context}", at)

    def template_name(self, context: str) -> str:
        """The quoted name that is next."""
        kind, text, at, _ = self._next()
        if kind not in ("string", "raw"):
            raise SyntaxProblem(f"unexpected {text} in {context}", at, "a quoted name is expected")
        return self._unquote(text, at)

    def _unquote(self, text: str, at: int) -> str:
        try:
            return literals.unquote(text)
        except ValueError as error:
            raise SyntaxProblem(str(error), at) from None

    def pipeline(self, context: str) -> tree.Pipe:
        """A pipeline up to the end of the action, with declarations in front."""
        return self._pipeline(context, "close")

    def _pipeline(self, context: str, end: str) -> tree.Pipe:
        first = self._peek()[2]
        names, assign = self._declarations(context) if self._peek()[0] == "variable" else ([], False)
        pipe = tree.Pipe(first, [])
        while (token := self._peek())[0] != end:
            kind, text, at, _ = token
            if kind == "close":
                raise SyntaxProblem("unclosed left paren", first)
            if kind in _NO_OPERANDS:
                raise SyntaxProblem(f"unexpected {text} in {context}", at)
            pipe.commands.append(self._command(context))
        self._next()
        self._check(pipe, context)
        if names:
            pipe.slots = tuple(self._assigned(token) if assign else self._declared(token[1]) for token in names)
        return pipe

    def _declarations(self, context: str) -> tuple[list[Token], bool]:
        start = self.position
        names: list[Token] = []
        while (token := self._next())[0] == "variable":
            names.append(token)
            kind, text, at, _ = self._next()
            if kind in ("declare", "assign"):
                if len(names) > (2 if context == "range" else 1):
                    raise SyntaxProblem(f"too many declarations in {context}", token[2])
                return names, kind == "assign"
            if text != ",":
                break
            if context != "range":
                raise SyntaxProblem(f"too many declarations in {context}", at)
        self.position = start
        return [], False

    def _declared(self, name: str) -> int:
        slot = self.scope[name] = self.size
        self.size += 1
        return slot

    def _assigned(self, token: Token) -> int:
        _, text, at, _ = token
        if text not in self.scope:
            raise SyntaxProblem(f'undefined variable "{text}"', at, "declare it with :=")
        return self.scope[text]

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
        operands: list[tree.Operand] = []
        command = tree.Command(self._peek()[2], operands)
        while True:
            operands.append(self._operand(context))
            kind, text, at, spaced = self._peek()
            if kind == "pipe":
                self._next()
                return command
            if kind in ("close", "shut"):
                return command
            if not spaced:
                raise SyntaxProblem(f"unexpected {text} in operand", at, "is a space missing?")

    def _operand(self, context: str) -> tree.Operand:
        token = self._next()
        node = self._term(token, context)
        fields: tuple[str, ...] = ()
        while (following := self._peek())[0] == "field" and not following[3]:
            fields += (following[1][1:],)
            self.position += 1
        if not fields:
            return node
        if isinstance(node, (tree.Field, tree.Variable)):
            node.fields += fields
            return node
        if isinstance(node, (tree.Const, tree.Dot)):
            raise SyntaxProblem(f"unexpected . after term {token[1]}", token[2])
        return tree.Chain(token[2], node, fields)

    def _term(self, token: Token, context: str) -> tree.Operand:
        kind, text, at, _ = token
        if kind == "field":
            return tree.Field(at, (text[1:],))
        if kind == "word":
            return self._word(text, at, context)
        if kind in ("string", "raw"):
            return tree.Const(at, self._unquote(text, at))
        if kind == "variable":
            return tree.Variable(at, self._used(text, at), ())
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

    def _used(self, name: str, at: int) -> int:
        slot = self.scope.get(name)
        if slot is None:
            close = difflib.get_close_matches(name, self.scope, n=1)
            hint = f"did you mean {close[0]}?" if close else "declare it with :="
            raise SyntaxProblem(f'undefined variable "{name}"', at, hint)
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
            hint = _LEFT_OUT.get(text) or (f"did you mean {' or '.join(close)}?" if close else "")
            message = f'function "{text}" is not defined'
            self.complaints.append(tree.Complaint(UNKNOWN_FUNCTION, message, at, hint))
        elif function.mutates:
            self.mutates = True
        return tree.Name(at, text)
