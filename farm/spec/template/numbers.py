# SPDX-License-Identifier: GPL-3.0-or-later
"""Go's numbers as text: strconv.ParseInt, ParseFloat and FormatFloat."""

from __future__ import annotations

import math
import re

_INTEGER = re.compile(
    r"([+-]?)(?:0[xX]_?([0-9a-fA-F]+(?:_[0-9a-fA-F]+)*)|0[bB]_?([01]+(?:_[01]+)*)"
    r"|0[oO]?_?([0-7]+(?:_[0-7]+)*)|(0|[1-9][0-9]*(?:_[0-9]+)*))\Z"
)
_DECIMAL = re.compile(r"[+-]?[0-9]+\Z")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_HEX_FLOAT = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+\Z")
_SPECIAL = re.compile(r"[+-]?(?:inf|infinity)\Z|nan\Z", re.IGNORECASE)
_MAX_DIGITS = 400


def parse_int(text: str) -> int | None:
    """ParseInt(text, 0, 64): prefixes 0x, 0o, 0b and 0, underscores between digits. None: not an int64."""
    match = _INTEGER.match(text) if len(text) < _MAX_DIGITS else None
    if match is None:
        return None
    sign, sixteen, two, eight, ten = match.groups()
    for digits, base in ((sixteen, 16), (two, 2), (eight, 8), (ten, 10)):
        if digits:
            number = int(digits.replace("_", ""), base)
            number = -number if sign == "-" else number
            return number if -(1 << 63) <= number < 1 << 63 else None
    return None


def parse_decimal(text: str) -> int | None:
    """ParseInt(text, 10, 64). None: not a decimal int64."""
    if len(text) >= _MAX_DIGITS or not _DECIMAL.match(text):
        return None
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None


def parse_float(text: str) -> float | None:
    """ParseFloat(text, 64). None: not a number, or out of range."""
    if len(text) >= _MAX_DIGITS:
        return None
    if _FLOAT.match(text):
        number = float(text)
        return None if math.isinf(number) else number
    if _HEX_FLOAT.match(text):
        return float.fromhex(text)
    return float(text) if _SPECIAL.match(text) else None


def shortest(number: float) -> tuple[str, int]:
    """The fewest digits that give ``abs(number)`` again, and the power of ten of the first of them."""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    first = len(whole.lstrip("0")) - 1 if whole.strip("0") else -(len(fraction) - len(fraction.lstrip("0"))) - 1
    return digits.rstrip("0") or "0", (first + int(exponent or 0)) if digits else 0


def _exponential(digits: str, exponent: int, letter: str) -> str:
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{tail}{letter}{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _positional(digits: str, exponent: int) -> str:
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    if len(digits) <= exponent + 1:
        return digits + "0" * (exponent + 1 - len(digits))
    return f"{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def special(number: float) -> str:
    """``NaN``, ``+Inf`` or ``-Inf``; empty for every other number."""
    if math.isfinite(number):
        return ""
    return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"


def format_float(number: float, verb: str = "g", precision: int = -1, large: int = 6) -> str:
    """FormatFloat(number, verb, precision, 64). ``precision`` -1: as many digits as needed.

    ``large`` is the power of ten from which ``g`` without precision turns to exponents.
    """
    if text := special(number):
        return text
    lower = verb.lower()
    if precision >= 0:
        return _fixed_precision(number, verb, precision)
    sign = "-" if math.copysign(1.0, number) < 0 else ""
    digits, exponent = shortest(number)
    if lower == "e" or (lower == "g" and (exponent < -4 or exponent >= large)):
        return sign + _exponential(digits, exponent, "E" if verb.isupper() else "e")
    return sign + _positional(digits, exponent)


def _fixed_precision(number: float, verb: str, precision: int) -> str:
    text = f"{number:.{precision}{verb.lower()}}"
    return text.upper() if verb.isupper() else text


def printed_float(number: float) -> str:
    """How ``%v`` and a plain action print a float64: 1e+06 from a million on, as Go does."""
    if number.is_integer() and -1e6 < number < 1e6 and number:
        return str(int(number))
    return format_float(number)
