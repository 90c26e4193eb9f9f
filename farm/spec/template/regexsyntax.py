# SPDX-License-Identifier: GPL-3.0-or-later
"""The syntax of Go's regular expressions (RE2): text to a tree. Flags are resolved while parsing."""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
import unicodedata
from typing import TypeAlias

from farm.spec.template.values import Fault

MAX_REPEAT = 1000
MAX_NESTING = 100
Ranges = tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Chars:
    """One character out of ``ranges`` (of code points, inclusive), or not out of them."""

    ranges: Ranges
    negated: bool = False
    fold: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Assertion:
    """A position: ``start``, ``end``, ``line-start``, ``line-end``, ``word``, ``not-word``."""

    kind: str


@dataclasses.dataclass(frozen=True, slots=True)
class Sequence:
    items: tuple[Node, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    items: tuple[Node, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Repeat:
    node: Node
    least: int
    most: int | None
    greedy: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    node: Node
    index: int


Node: TypeAlias = "Chars | Assertion | Sequence | Choice | Repeat | Group"


@dataclasses.dataclass(frozen=True, slots=True)
class Expression:
    """A parsed regular expression. ``names`` maps the names of groups to their numbers."""

    node: Node
    groups: int
    names: dict[str, int]


DIGIT: Ranges = ((48, 57),)
WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
BLANK: Ranges = ((9, 10), (12, 13), (32, 32))
_PERL = {"d": DIGIT, "w": WORD, "s": BLANK}
_POSIX: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": DIGIT,
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": WORD,
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}
_ESCAPES = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_ASSERTIONS = {"A": "start", "z": "end", "b": "word", "B": "not-word"}
_COUNT = re.compile(r"\{(\d{1,5})(?:(,)(\d{0,5}))?\}")
_FLAGS = re.compile(r"\(\?([imsU]*)(?:-([imsU]+))?([:)])")
_NAME = re.compile(r"\(\?P?<(\w+)>", re.ASCII)


def inverted(ranges: Ranges) -> Ranges:
    """All other characters."""
    result, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            result.append((start, low - 1))
        start = max(start, high + 1)
    if start <= sys.maxunicode:
        result.append((start, sys.maxunicode))
    return tuple(result)


@functools.lru_cache(maxsize=64)
def _category(name: str) -> Ranges:
    """The characters of a Unicode category such as ``L`` or ``Lu``."""
    ranges: list[tuple[int, int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith(name):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1] = (ranges[-1][0], code)
            else:
                ranges.append((code, code))
    return tuple(ranges)


class _Parser:
    """A recursive descent over the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.groups = 0
        self.names: dict[str, int] = {}
        self.flags: frozenset[str] = frozenset()
        self.depth = 0

    def fault(self, message: str) -> Fault:
        return Fault(f"error parsing regexp: {message}", f"in `{self.text}`")

    def expression(self) -> Expression:
        node = self.choice()
        if self.at < len(self.text):
            raise self.fault("unexpected )")
        return Expression(node, self.groups, self.names)

    def choice(self) -> Node:
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise self.fault("expression nests too deeply")
        flags = self.flags
        items = [self.sequence()]
        while self.text.startswith("|", self.at):
            self.at += 1
            items.append(self.sequence())
        self.flags = flags
        self.depth -= 1
        return items[0] if len(items) == 1 else Choice(tuple(items))

    def sequence(self) -> Node:
        items: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            node = self.atom()
            if node is not None:
                items.append(self.repeated(node))
        return items[0] if len(items) == 1 else Sequence(tuple(items))

    def repeated(self, node: Node) -> Node:
        before = ""
        while (bounds := self.bounds()) is not None:
            least, most, operator = bounds
            if before:
                raise self.fault(f"invalid nested repetition operator: `{before}{operator}`")
            greedy = "U" not in self.flags
            if self.text.startswith("?", self.at):
                self.at += 1
                operator += "?"
                greedy = not greedy
            node, before = Repeat(node, least, most, greedy), operator
        return node

    def bounds(self) -> tuple[int, int | None, str] | None:
        """The repetition operator that is next."""
        char = self.text[self.at : self.at + 1]
        if char and char in "*+?":
            self.at += 1
            return (1 if char == "+" else 0), (1 if char == "?" else None), char
        match = _COUNT.match(self.text, self.at) if char == "{" else None
        if match is None:
            return None
        self.at = match.end()
        least = int(match[1])
        most = least if not match[2] else int(match[3]) if match[3] else None
        if least > MAX_REPEAT or (most is not None and (most > MAX_REPEAT or most < least)):
            raise self.fault(f"invalid repeat count: `{match.group()}`")
        return least, most, match.group()

    def atom(self) -> Node | None:
        char = self.text[self.at]
        if char == "(":
            return self.group()
        if char == "[":
            return self.char_class()
        if char == "\\":
            return self.escape()
        if char in "*+?" or (char == "{" and _COUNT.match(self.text, self.at)):
            raise self.fault(f"missing argument to repetition operator: `{char}`")
        self.at += 1
        if char == ".":
            return Chars((), True) if "s" in self.flags else Chars(((10, 10),), True)
        if char == "^":
            return Assertion("line-start" if "m" in self.flags else "start")
        if char == "$":
            return Assertion("line-end" if "m" in self.flags else "end")
        return self.literal(ord(char))

    def literal(self, code: int) -> Chars:
        return Chars(((code, code),), False, "i" in self.flags)

    def group(self) -> Node | None:
        text = self.text
        if match := _NAME.match(text, self.at):
            if match[1] in self.names:
                raise self.fault(f"duplicate capture group name: `{match[1]}`")
            self.names[match[1]] = self.groups + 1
            self.at = match.end()
            return self.captured()
        if not text.startswith("(?", self.at):
            self.at += 1
            return self.captured()
        match = _FLAGS.match(text, self.at)
        if match is None:
            raise self.fault(f"invalid or unsupported Perl syntax: `{text[self.at : self.at + 4]}`")
        self.at = match.end()
        outer = self.flags
        self.flags = (outer | frozenset(match[1])) - frozenset(match[2] or "")
        if match[3] == ")":
            return None
        node = self.choice()
        self.close()
        self.flags = outer
        return node

    def captured(self) -> Node:
        self.groups += 1
        index = self.groups
        node = self.choice()
        self.close()
        return Group(node, index)

    def close(self) -> None:
        if not self.text.startswith(")", self.at):
            raise self.fault("missing closing )")
        self.at += 1

    def escape(self) -> Node | None:
        text, start = self.text, self.at
        letter = text[start + 1 : start + 2]
        if letter == "Q":
            return self.verbatim()
        if letter in _ASSERTIONS and letter:
            self.at += 2
            return Assertion(_ASSERTIONS[letter])
        ranges = self.class_escape()
        if ranges is not None:
            return Chars(ranges, False, "i" in self.flags)
        return self.literal(self.escaped_code())

    def verbatim(self) -> Node:
        end = self.text.find("\\E", self.at + 2)
        inner = self.text[self.at + 2 : end if end >= 0 else len(self.text)]
        self.at = end + 2 if end >= 0 else len(self.text)
        return Sequence(tuple(self.literal(ord(char)) for char in inner))

    def class_escape(self) -> Ranges | None:
        """``\\d`` and its like, ``\\pL``, ``\\p{Lu}``."""
        letter = self.text[self.at + 1 : self.at + 2]
        if letter and letter.lower() in _PERL:
            self.at += 2
            ranges = _PERL[letter.lower()]
            return inverted(ranges) if letter.isupper() else ranges
        if not letter or letter not in "pP":
            return None
        match = re.compile(r"\\[pP](?:\{(\^?)(\w+)\}|(\w))").match(self.text, self.at)
        name = (match[2] or match[3]) if match else ""
        if match is None or not (name == "Any" or re.fullmatch(r"[CLMNPSZ][a-z]?", name)):
            raise self.fault(f"invalid or unsupported character class range: `{self.text[self.at :]}`")
        self.at = match.end()
        ranges = ((0, sys.maxunicode),) if name == "Any" else _category(name)
        return inverted(ranges) if (letter == "P") != bool(match[1]) else ranges

    def escaped_code(self) -> int:
        """The character of any other escape."""
        match = re.compile(r"\\(?:x\{([0-9A-Fa-f]{1,6})\}|x([0-9A-Fa-f]{2})|([0-7]{1,3})|(.))", re.DOTALL).match(
            self.text, self.at
        )
        if match is None:
            raise self.fault("trailing backslash at end of expression")
        long, short, octal, char = match.groups()
        self.at = match.end()
        if long or short:
            code = int(long or short, 16)
            if code > sys.maxunicode:
                raise self.fault(f"invalid escape sequence: `{match.group()}`")
            return code
        if octal and (octal[0] == "0" or len(octal) > 1):
            return int(octal, 8)
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char is None or (char.isalnum() and char.isascii()) or not char.isascii():
            raise self.fault(f"invalid escape sequence: `{match.group()}`")
        return ord(char)

    def char_class(self) -> Node:
        start = self.at
        self.at += 1
        negated = self.text.startswith("^", self.at)
        self.at += negated
        ranges: list[tuple[int, int]] = []
        first = True
        while first or not self.text.startswith("]", self.at):
            first = False
            if self.at >= len(self.text):
                raise self.fault(f"missing closing ]: `{self.text[start:]}`")
            ranges += self.class_item()
        self.at += 1
        return Chars(tuple(ranges), negated, "i" in self.flags)

    def class_item(self) -> Ranges:
        text = self.text
        if match := re.compile(r"\[:(\^?)(\w+):\]").match(text, self.at):
            if match[2] not in _POSIX:
                raise self.fault(f"invalid character class range: `{match.group()}`")
            self.at = match.end()
            return inverted(_POSIX[match[2]]) if match[1] else _POSIX[match[2]]
        if text.startswith("\\", self.at):
            ranges = self.class_escape()
            if ranges is not None:
                return ranges
        low = self.class_char()
        if not text.startswith("-", self.at) or text.startswith("-]", self.at):
            return ((low, low),)
        self.at += 1
        high = self.class_char()
        if high < low:
            raise self.fault(f"invalid character class range: `{chr(low)}-{chr(high)}`")
        return ((low, high),)

    def class_char(self) -> int:
        if self.at >= len(self.text):
            raise self.fault("missing closing ]")
        if self.text[self.at] == "\\":
            return self.escaped_code()
        self.at += 1
        return ord(self.text[self.at - 1])


def parse(text: str) -> Expression:
    """Parse a regular expression. Raises Fault with Go's message when it is wrong."""
    return _Parser(text).expression()
