# SPDX-License-Identifier: GPL-3.0-or-later
"""Go regular expressions (RE2 syntax) as Python ones.

``includes``, ``excludes`` and the rules of subsets are Go's (https://github.com/google/re2/wiki/Syntax). What
Go refuses is refused here, what both spell differently is translated: ``$`` and ``\\z``, flags in the middle,
``\\Q…\\E``, ``[[:alpha:]]``, ``\\x{…}``, ``\\pL``, ASCII-only ``\\d \\w \\s \\b``, ungreedy mode, and a literal ``{``.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Callable

from farm.spec.problem import FarmError, error

MAX_REPEAT = 1000

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": "!-\\~",
    "lower": "a-z",
    "print": " -\\~",
    "punct": r"!-/:-@\[-`{-\~",
    "space": r"\t\n\x0b\x0c\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_PERL = {"d": "0-9", "s": r"\t\n\x0c\r ", "w": "0-9A-Za-z_"}
_ESCAPES = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_ANCHORS = {"A": r"\A", "z": r"\Z", "b": r"(?a:\b)", "B": r"(?a:\B)"}


@functools.lru_cache(maxsize=4096)
def compile_go(pattern: str) -> re.Pattern[str]:
    """The pattern, to be used with ``search`` (Go's MatchString). FarmError ``bad-regex`` when Go refuses it."""
    try:
        return re.compile(_Translator(pattern).translate())
    except (re.error, _BadPattern, RecursionError, OverflowError) as e:
        raise _bad(pattern, e) from None


def _bad(pattern: str, reason: Exception) -> FarmError:
    shown = pattern if len(pattern) <= 80 else pattern[:77] + "..."
    hint = "regular expressions are Go's: no look-around, no back-references; \\ before . * + ? ( ) [ { ^ $ | \\"
    return error("bad-regex", f"bad regular expression {shown!r}: {reason}", hint=hint)


class _BadPattern(Exception):
    """What is wrong with a pattern."""


class _Translator:
    """One pass over the pattern, token by token; flags are tracked here and never given to Python but ``i``."""

    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0
        self.flags: frozenset[str] = frozenset()
        self.saved: list[frozenset[str]] = []
        self.atom = False

    def translate(self) -> str:
        out: list[str] = []
        while self.at < len(self.text):
            out.append(self._token())
        if self.saved:
            raise _BadPattern("missing closing )")
        return "".join(out)

    def _token(self) -> str:
        c = self.text[self.at]
        handler = _HANDLERS.get(c)
        if handler:
            return handler(self)
        self.at += 1
        self.atom = True
        return self._fold(re.escape(c))

    def _fold(self, token: str) -> str:
        return f"(?i:{token})" if "i" in self.flags else token

    def _any(self) -> str:
        self.at, self.atom = self.at + 1, True
        return "(?s:.)" if "s" in self.flags else r"[^\n]"

    def _begin(self) -> str:
        self.at, self.atom = self.at + 1, True
        return "(?m:^)" if "m" in self.flags else r"\A"

    def _end(self) -> str:
        self.at, self.atom = self.at + 1, True
        return "(?m:$)" if "m" in self.flags else r"\Z"

    def _alternative(self) -> str:
        self.at, self.atom = self.at + 1, False
        return "|"

    def _open(self) -> str:
        if not self.text.startswith("(?", self.at):
            self.at += 1
            return self._enter("(", self.flags)
        named = re.compile(r"\(\?P?<([A-Za-z_0-9]+)>").match(self.text, self.at)
        if named:
            self.at = named.end()
            return self._enter(f"(?P<{named[1]}>", self.flags)
        found = re.compile(r"\(\?([imsU]*)(?:-([imsU]+))?([:)])").match(self.text, self.at)
        if not found or (found[3] == ")" and not found[1] and not found[2]):
            raise _BadPattern(f"unknown group {self.text[self.at : self.at + 4]!r}")
        self.at = found.end()
        flags = (self.flags | set(found[1])) - set(found[2] or "")
        if found[3] == ":":
            return self._enter("(?:", flags)
        self.flags, self.atom = flags, False
        return ""

    def _enter(self, opening: str, flags: frozenset[str]) -> str:
        self.saved.append(self.flags)
        if len(self.saved) > 100:
            raise _BadPattern("groups are nested too deeply")
        self.flags, self.atom = flags, False
        return opening

    def _close(self) -> str:
        if not self.saved:
            raise _BadPattern("unexpected )")
        self.flags = self.saved.pop()
        self.at, self.atom = self.at + 1, True
        return ")"

    def _repeat(self) -> str:
        found = re.compile(r"([*+?]|\{(\d+)(,?)(\d*)\})(\??)").match(self.text, self.at)
        if not found:
            self.at, self.atom = self.at + 1, True
            return r"\{"
        if not self.atom:
            raise _BadPattern(f"nothing to repeat before {found[0]!r}")
        low, high = int(found[2] or 0), int(found[4] or found[2] or 0)
        if max(low, high) > MAX_REPEAT or low > high:
            raise _BadPattern(f"invalid repeat count {found[0]!r}")
        self.at, self.atom = found.end(), False
        lazy = bool(found[5]) != ("U" in self.flags)
        return found[1] + ("?" if lazy else "")

    def _escape(self) -> str:
        if self.text.startswith("\\Q", self.at):
            end = self.text.find("\\E", self.at + 2)
            quoted = self.text[self.at + 2 : end if end >= 0 else None]
            self.at = end + 2 if end >= 0 else len(self.text)
            self.atom = self.atom or bool(quoted)
            return "".join(self._fold(re.escape(c)) for c in quoted)
        c = self.text[self.at + 1 : self.at + 2]
        self.atom = True
        if c in _ANCHORS and c:
            self.at += 2
            return _ANCHORS[c]
        members = self._class_escape()
        return self._fold(f"[{members}]" if members is not None else _literal(self._code_point()))

    def _class_escape(self) -> str | None:
        """The members of \\d, \\W, \\pL, … as the inside of a Python class; None when it is something else."""
        c = self.text[self.at + 1 : self.at + 2]
        if c and c.lower() in _PERL:
            self.at += 2
            return _PERL[c] if c.islower() else _complement(_PERL[c.lower()])
        if c not in ("p", "P"):
            return None
        found = re.compile(r"\\[pP](?:\{(\^?)(\w+)\}|(\w))").match(self.text, self.at)
        if not found:
            raise _BadPattern("invalid \\p")
        self.at = found.end()
        members = _category(found[2] or found[3])
        return _complement(members) if (c == "P") != bool(found[1]) else members

    def _code_point(self) -> int:
        """The character that an escape stands for."""
        found = re.compile(
            r"\\(?:x\{([0-9a-fA-F]+)\}|x([0-9a-fA-F]{2})|(0[0-7]{0,2}|[1-7][0-7]{1,2})|(.))", re.S
        ).match(self.text, self.at)
        if not found:
            raise _BadPattern("trailing \\" if self.at + 1 == len(self.text) else "invalid escape")
        self.at = found.end()
        if found[4]:
            return self._named_escape(found[4])
        code = int(found[3], 8) if found[3] else int(found[1] or found[2], 16)
        if code > sys.maxunicode:
            raise _BadPattern(f"no such character {found[0]!r}")
        return code

    def _named_escape(self, c: str) -> int:
        if c in _ESCAPES:
            return _ESCAPES[c]
        if ord(c) < 128 and not c.isalnum():
            return ord(c)
        raise _BadPattern(f"invalid escape \\{c}")

    def _class(self) -> str:
        self.at += 1
        negated = self.text.startswith("^", self.at)
        self.at += negated
        members: list[str] = []
        first = True
        while first or not self.text.startswith("]", self.at):
            if self.at >= len(self.text):
                raise _BadPattern("missing closing ]")
            members.append(self._member())
            first = False
        self.at, self.atom = self.at + 1, True
        return self._fold(("[^" if negated else "[") + "".join(members) + "]")

    def _member(self) -> str:
        posix = re.compile(r"\[:(\^?)(\w+):\]").match(self.text, self.at)
        if posix:
            if posix[2] not in _POSIX:
                raise _BadPattern(f"no such class {posix[0]!r}")
            self.at = posix.end()
            return _complement(_POSIX[posix[2]]) if posix[1] else _POSIX[posix[2]]
        if self.text.startswith("\\", self.at) and (members := self._class_escape()) is not None:
            return members
        low = self._class_character()
        if not self.text.startswith("-", self.at) or self.text.startswith("-]", self.at):
            return _literal(low)
        self.at += 1
        high = self._class_character()
        if high < low:
            raise _BadPattern("bad range in a class")
        return f"{_literal(low)}-{_literal(high)}"

    def _class_character(self) -> int:
        if self.at >= len(self.text):
            raise _BadPattern("missing closing ]")
        if self.text[self.at] == "\\":
            return self._code_point()
        self.at += 1
        return ord(self.text[self.at - 1])


_HANDLERS: dict[str, Callable[[_Translator], str]] = {
    ".": _Translator._any,
    "^": _Translator._begin,
    "$": _Translator._end,
    "|": _Translator._alternative,
    "(": _Translator._open,
    ")": _Translator._close,
    "*": _Translator._repeat,
    "+": _Translator._repeat,
    "?": _Translator._repeat,
    "{": _Translator._repeat,
    "\\": _Translator._escape,
    "[": _Translator._class,
}


def _literal(code: int) -> str:
    return f"\\U{code:08x}"


@functools.lru_cache(maxsize=256)
def _complement(members: str) -> str:
    matches = re.compile(f"[{members}]").match
    return _ranges(lambda char: matches(char) is None)


@functools.lru_cache(maxsize=64)
def _category(name: str) -> str:
    """Members of a Unicode general category (``L``, ``Lu``). Scripts are not known to Python."""
    if name == "Any":
        return _literal(0) + "-" + _literal(sys.maxunicode)
    members = _ranges(lambda char: unicodedata.category(char).startswith(name))
    if not members:
        raise _BadPattern(f"unknown class \\p{{{name}}} (scripts are not supported)")
    return members


def _ranges(belongs: Callable[[str], bool]) -> str:
    out: list[str] = []
    start = -1
    for code in range(sys.maxunicode + 2):
        inside = code <= sys.maxunicode and belongs(chr(code))
        if inside and start < 0:
            start = code
        elif not inside and start >= 0:
            out.append(f"{_literal(start)}-{_literal(code - 1)}")
            start = -1
    return "".join(out)
