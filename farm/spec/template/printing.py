# SPDX-License-Identifier: GPL-3.0-or-later
"""Go's fmt package: how values are printed (``%v``, ``%q``, ``%#v``) by actions, print and println."""

from __future__ import annotations

import re
from collections.abc import Sequence

from farm.spec.template.numbers import printed_float
from farm.spec.template.values import Struct, Value, sorted_keys, to_bytes, type_of, weigh

NO_VALUE = "<no value>"
"""What Go writes for nil. As in Helm it is taken out of the whole output at the end, and so is part of what
``include`` gives until then."""
_ESCAPES = {7: r"\a", 8: r"\b", 9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 34: r"\"", 92: r"\\"}
_PLAIN = re.compile(r"[ !#-\[\]-~]*\Z")


def text_of(value: Value) -> str:
    """``%v`` of one value: what an action writes, and what sprig's functions make of a value.

    Raises Fault when the value is too large to be written out.
    """
    if value.__class__ is str:
        return value
    if isinstance(value, (dict, list, tuple)):
        weigh(value)
    return _plain(value)


def _plain(value: Value) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return printed_float(value)
    if isinstance(value, dict):
        return f"map[{' '.join(f'{_plain(key)}:{_plain(value[key])}' for key in sorted_keys(value))}]"
    if isinstance(value, (list, tuple)):
        return f"[{' '.join(map(_plain, value))}]"
    return str(value)


def printed(value: Value) -> str:
    """What an action writes: like text_of, but NO_VALUE for nil."""
    return NO_VALUE if value is None else text_of(value)


def sprint(values: Sequence[Value]) -> str:
    """fmt.Sprint: a space between two operands when neither is a string."""
    parts: list[str] = []
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            parts.append(" ")
        parts.append(text_of(value))
    return "".join(parts)


def _escaped(char: str, quote: str, ascii_only: bool) -> str:
    code = ord(char)
    if char == quote or char == "\\":
        return "\\" + char
    if code in _ESCAPES and char not in "\"'":
        return _ESCAPES[code]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if (char.isprintable() and code < 0x7F) or (char.isprintable() and not ascii_only):
        return char
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted(text: str, *, ascii_only: bool = False) -> str:
    """strconv.Quote: a Go string literal."""
    if _PLAIN.match(text):
        return f'"{text}"'
    return '"' + "".join(_escaped(char, '"', ascii_only) for char in text) + '"'


def quoted_rune(code: int, *, ascii_only: bool = False) -> str:
    """strconv.QuoteRune: a Go character literal."""
    char = chr(code) if 0 <= code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else "\ufffd"
    return "'" + _escaped(char, "'", ascii_only) + "'"


def go_syntax(value: Value) -> str:
    """``%#v``: the value as Go source text."""
    weigh(value)
    return _syntax(value, top=True)


def _syntax(value: Value, *, top: bool = False) -> str:
    if value is None:
        return "<nil>" if top else "interface {}(nil)"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, dict):
        items = ", ".join(f"{_syntax(key)}:{_syntax(value[key])}" for key in sorted_keys(value))
        return f"{type_of(value)}{{{items}}}"
    if isinstance(value, (list, tuple)):
        return f"{type_of(value)}{{{', '.join(map(_syntax, value))}}}"
    return str(value) if isinstance(value, Struct) else _plain(value)


def hexadecimal(text: str, *, upper: bool = False, space: bool = False, prefix: bool = False) -> str:
    """``%x`` of a string: two digits for each byte."""
    digits = [f"{byte:02X}" if upper else f"{byte:02x}" for byte in to_bytes(text)]
    mark = ("0X" if upper else "0x") if prefix and digits else ""
    return mark + (f" {mark}" if space else "").join(digits)
