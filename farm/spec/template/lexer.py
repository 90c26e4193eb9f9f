# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut a template's source into texts and actions, and actions into tokens (Go's text/template/parse/lex.go)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

SPACES = " \t\r\n"
_TERMINATORS = " \t\r\n.,|:()"
_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
    (?P<close>(?:(?<=[ \t\r\n])-)?\}\})
    |(?P<field>\.[^\W\d]\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<variable>\$\w*)
    |(?P<string>"(?:[^"\\\n]|\\[^\n])*")
    |(?P<pipe>\|)|(?P<open>\()|(?P<shut>\))
    |(?P<number>[+-]?(?:\d|\.\d)(?:(?<=[eEpP])[+-](?=\d)|[\w.])*)
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:[^'\\\n]|\\[^\n])*')
    |(?P<declare>:=)|(?P<assign>=)|(?P<dot>\.)
    |(?P<other>.))""",
    re.VERBOSE | re.DOTALL,
)
_NAMES = frozenset(("field", "variable", "word"))
_UNFINISHED = {'"': "unterminated quoted string", "`": "unterminated raw string", "'": "unterminated character"}


Token = tuple[str, str, int, bool]
"""(kind, text, offset, whether white space is in front of it)"""


class LexError(Exception):
    """A place at which no token starts."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


@dataclasses.dataclass(slots=True)
class Piece:
    """A text (``tokens`` is None) or an action; ``error`` ends its tokens early."""

    at: int
    text: str
    tokens: list[Token] | None
    error: LexError | None = None


class Lexer:
    """Pieces of ``source``. ``base`` is added to all offsets; ``trim``: what comes first is trimmed."""

    def __init__(self, source: str, base: int, trim: bool) -> None:
        self.source = source
        self.base = base
        self.open_end = trim
        self.trims_before = False

    def pieces(self) -> Iterator[Piece]:
        """All pieces in order. After the last, ``open_end`` says whether what follows is to be trimmed."""
        source, position = self.source, 0
        while (start := source.find("{{", position)) >= 0:
            left = source.startswith("-", start + 2) and source[start + 3 : start + 4] in (" ", "\t", "\r", "\n")
            yield from self._text(position, start, left)
            after = start + 4 if left else start + 2
            if source.startswith("/*", after):
                piece, position = self._comment(start, after)
            else:
                piece, position = self._action(start, after)
            if piece is not None:
                yield piece
        yield from self._text(position, len(source), False)

    def _text(self, start: int, end: int, trim: bool) -> Iterator[Piece]:
        text = self.source[start:end]
        if self.open_end:
            kept = text.lstrip(SPACES)
            start += len(text) - len(kept)
            text = kept
        if trim:
            text = text.rstrip(SPACES)
            self.trims_before = self.trims_before or not self.source[:end].strip(SPACES)
        self.open_end = self.open_end and not text
        if text:
            yield Piece(self.base + start, text, None)

    def _comment(self, start: int, after: int) -> tuple[Piece | None, int]:
        source = self.source
        end = source.find("*/", after + 2)
        if end < 0:
            error = LexError("unclosed comment", self.base + start)
            return Piece(self.base + start, "", [], error), len(source)
        end += 2
        for close in ("}}", *(f"{space}-}}}}" for space in SPACES)):
            if source.startswith(close, end):
                self.open_end = len(close) > 2
                return None, end + len(close)
        error = LexError("comment ends before closing delimiter", self.base + end)
        return self._broken(start, [], error, end)

    def _action(self, start: int, position: int) -> tuple[Piece, int]:
        source, base = self.source, self.base
        tokens: list[Token] = []
        scan = _TOKEN.scanner(source, position).match  # type: ignore[attr-defined]
        while (match := scan()) is not None:
            kind = match.lastgroup
            begin, end = match.span(kind)
            text = source[begin:end]
            tokens.append((kind, text, base + begin, begin > position))
            if kind == "close":
                self.open_end = len(text) > 2
                return Piece(base + start, "", tokens), end
            problem = ""
            if kind in _NAMES:
                if source[end : end + 1] not in _TERMINATORS and not source.startswith("}}", end):
                    problem = f"bad character {source[end]!r} after {text}"
            elif kind == "other" and text in _UNFINISHED:
                problem = _UNFINISHED[text]
            elif kind == "other" and not ("!" <= text <= "~"):
                problem = f"unrecognized character in action: {text!r}"
            if problem:
                tokens.pop()
                return self._broken(start, tokens, LexError(problem, base + begin), begin)
            position = end
        return Piece(base + start, "", tokens, LexError("unclosed action", base + start)), len(source)

    def _broken(self, start: int, tokens: list[Token], error: LexError, position: int) -> tuple[Piece, int]:
        """The piece of an action with an error: go on behind its end, so that later errors are found too."""
        end = self.source.find("}}", position)
        self.open_end = False
        return Piece(self.base + start, "", tokens, error), len(self.source) if end < 0 else end + 2
