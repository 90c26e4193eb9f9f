# SPDX-License-Identifier: GPL-3.0-or-later
"""Words in text: title case, abbreviations, wrapping (Masterminds/goutils), snake, kebab and camel case (xstrings)."""

from __future__ import annotations

import unicodedata

from farm.spec.template.functions.strings import SPACE, bounded, lower, upper
from farm.spec.template.registry import define, function
from farm.spec.template.values import bytewise


def _is_word(char: str) -> bool:
    return char == "_" or char.isalnum()


def _title(text: str) -> str:
    return "".join(
        char if index and _is_separated(text[index - 1]) is False else upper(char) for index, char in enumerate(text)
    )


def _is_separated(char: str) -> bool:
    """Whether a letter behind ``char`` starts a word (strings.Title)."""
    return not _is_word(char) if char.isascii() else char in SPACE


def _first_letters(text: str) -> list[int]:
    return [index for index, char in enumerate(text) if char not in SPACE and (not index or text[index - 1] in SPACE)]


def _untitle(text: str) -> str:
    chars = list(text)
    for index in _first_letters(text):
        chars[index] = lower(chars[index])
    return "".join(chars)


def _swapcase(text: str) -> str:
    parts, space = [], True
    for char in text:
        if char.isupper() or char.istitle():
            parts.append(lower(char))
            space = False
        elif char.islower():
            parts.append(upper(char))
            space = False
        else:
            parts.append(char)
            space = char in SPACE
    return "".join(parts) if parts or space else ""


def _abbreviated(text: str, offset: int, width: int) -> str:
    if not text or len(text) <= width:
        return text
    offset = min(offset, len(text))
    if len(text) - offset < width - 3:
        offset = len(text) - (width - 3)
    if offset <= 4:
        return text[: width - 3] + "..."
    if offset + width - 3 < len(text):
        return "..." + _abbreviated(text[offset:], 0, width - 3)
    return "..." + text[len(text) - (width - 3) :]


@function("abbrev", args="int string")
def _abbrev(width: int, text: str) -> str:
    return text if width < 4 else bytewise(lambda data: _abbreviated(data, 0, width), text)


@function("abbrevboth", args="int int string")
def _abbrevboth(left: int, right: int, text: str) -> str:
    if right < 4 or (left > 0 and right < 7):
        return text
    return bytewise(lambda data: _abbreviated(data, left, right), text)


def _wrapped(text: str, width: int, newline: str, long_words: bool) -> str:
    newline, width = newline or "\n", max(width, 1)
    bounded(len(text) + (len(text) // width + 1) * len(newline))
    parts, offset = [], 0
    while len(text) - offset > width:
        if text[offset] == " ":
            offset += 1
            continue
        space = text.rfind(" ", offset, offset + width + 1)
        if space < 0 and not long_words:
            space = text.find(" ", offset + width)
            space = len(text) if space < 0 else space
        if space == len(text):
            break
        end = space if space >= 0 else offset + width
        parts += [text[offset:end], newline]
        offset = end + (space >= 0)
    return "".join([*parts, text[offset:]])


define("title", "string", _title)
define("untitle", "string", _untitle)
define("swapcase", "string", _swapcase)
define("initials", "string", lambda text: "".join(text[index] for index in _first_letters(text)))
define("wrap", "int string", lambda width, text: bytewise(lambda data: _wrapped(data, width, "", False), text))
define("wrapWith", "int string string", lambda width, newline, text: _wrapped(text, width, newline, True))

_CONNECTORS = "-_" + SPACE


@function("camelcase", args="string")
def _camelcase(text: str) -> str:
    """xstrings.ToCamelCase: leading and doubled connectors stay, a text of nothing else grows."""
    body = text.lstrip(_CONNECTORS)
    lead = text[: len(text) - len(body)]
    if not body:
        return text + text[-1:]
    parts, previous = [lead], upper(body[0])
    for char in body[1:]:
        if char in _CONNECTORS and previous in _CONNECTORS:
            parts.append(previous)
        elif previous in _CONNECTORS:
            char = upper(char)
        else:
            parts.append(previous)
            char = lower(char)
        previous = char
    return "".join([*parts, previous])


NUMBER, UPPER, ALPHABET, CONNECTOR, PUNCT, OTHER, INVALID = range(7)


def _class(char: str) -> int:
    if char in _CONNECTORS:
        return CONNECTOR
    category = unicodedata.category(char)
    if category[0] == "P":
        return PUNCT
    if char.isupper():
        return UPPER
    if category[0] == "L":
        return ALPHABET
    return NUMBER if category[0] == "N" else OTHER


def _run(text: str, start: int, accepted: tuple[int, ...]) -> int:
    while start < len(text) and _class(text[start]) in accepted:
        start += 1
    return start


def _next_word(text: str) -> tuple[int, str, str]:
    """xstrings' nextWord: (class, word, rest)."""
    if not text:
        return INVALID, "", ""
    kind = _class(text[0])
    end = 1
    if kind != UPPER:
        end = _run(text, 1, (kind,))
    elif len(text) > 1 and _class(text[1]) == UPPER:
        end = _run(text, 1, (UPPER,))
        if end < len(text) and _class(text[end]) == ALPHABET:
            end -= 1
    else:
        end = _run(text, 1, (ALPHABET,))
    return kind, text[:end], text[end:]


class _Lowering:
    """xstrings' camelCaseToLowerCase."""

    def __init__(self, text: str, connector: str) -> None:
        self.connector = connector
        self.out: list[str] = []
        self.kind, self.word, self.rest = _next_word(text)

    def advance(self) -> None:
        self.kind, self.word, self.rest = _next_word(self.rest)

    def write(self, kind: int, word: str) -> None:
        if kind == CONNECTOR:
            word = self.connector * len(word)
        self.out.append(lower(word) if kind == UPPER else word)

    def absorb(self) -> None:
        """Take words and numbers into the current word, then a connector."""
        while self.kind in (ALPHABET, NUMBER):
            self.write(self.kind, self.word)
            self.advance()
        if self.kind not in (INVALID, PUNCT, CONNECTOR):
            self.out.append(self.connector)

    def text(self) -> str:
        while self.rest:
            if self.kind != CONNECTOR:
                self.write(self.kind, self.word)
            previous, last = self.kind, self.word
            self.advance()
            if previous == NUMBER:
                self.absorb()
            elif previous == CONNECTOR:
                self.write(previous, last)
            elif previous != PUNCT:
                self.after_word()
        self.write(self.kind, self.word)
        return "".join(self.out)

    def after_word(self) -> None:
        if self.kind != NUMBER:
            if self.kind not in (CONNECTOR, PUNCT):
                self.out.append(self.connector)
            return
        if not self.rest:
            return
        number = self.word
        self.advance()
        if self.kind != ALPHABET:
            self.write(NUMBER, number)
            if self.kind not in (CONNECTOR, PUNCT):
                self.out.append(self.connector)
            return
        self.out.append(self.connector)
        self.write(NUMBER, number)
        self.absorb()


define("snakecase", "string", lambda text: _Lowering(text, "_").text())
define("kebabcase", "string", lambda text: _Lowering(text, "-").text())
