# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of Go's literals in actions: strings, characters and numbers."""

from __future__ import annotations

import re

from farm.spec.template.numbers import parse_float, parse_int
from farm.spec.template.values import from_bytes, to_bytes

_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.|\Z))", re.DOTALL
)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}


def _escape(match: re.Match[str], quote: str) -> bytes:
    simple, two, four, eight, octal, bad = match.groups()
    if bad is not None or (simple in ("'", '"') and simple != quote):
        raise ValueError(f"unknown escape {match.group()}")
    if simple:
        return bytes([_SIMPLE[simple]])
    if two or octal:
        code = int(two, 16) if two else int(octal, 8)
        if code > 255:
            raise ValueError(f"escape {match.group()} is over 255")
        return bytes([code])
    code = int(four or eight, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        raise ValueError(f"escape {match.group()} is no character")
    return chr(code).encode()


def unquote(text: str) -> str:
    """The value of a quoted or raw string. Raises ValueError for an escape that Go does not have."""
    if text[0] == "`":
        return text[1:-1].replace("\r", "")
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    parts, position = [], 0
    for match in _ESCAPE.finditer(inner):
        parts += [to_bytes(inner[position : match.start()]), _escape(match, text[0])]
        position = match.end()
    return from_bytes(b"".join(parts) + to_bytes(inner[position:]))


def character(text: str) -> int:
    """The code of a character constant such as ``'a'``. Raises ValueError."""
    match = _ESCAPE.fullmatch(text[1:-1])
    if match is not None and (match[2] or match[5]):
        return _escape(match, "'")[0]
    value = unquote(text)
    if len(value) != 1:
        raise ValueError(f"malformed character constant {text}")
    return ord(value)


def number(text: str) -> int | float:
    """The value of a number: an int, or a float when it is written as one. Raises ValueError."""
    integer = parse_int(text)
    if integer is not None:
        return integer
    plain = text.replace("_", "") if re.search(r"[0-9a-fA-FxX]_[0-9]", text) else text
    value = parse_float(plain)
    if value is None:
        raise ValueError(f"bad number syntax: {text}")
    if not set(text) & set(".eEpP"):
        raise ValueError(f"integer overflow: {text}")
    return value
