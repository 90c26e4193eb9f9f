# SPDX-License-Identifier: GPL-3.0-or-later
"""sprig's numeric.go: integers wrap as Go's int64 does, and what is no number counts as 0 (spf13/cast)."""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Callable
from decimal import Decimal

from farm.spec.template.numbers import parse_decimal, parse_float, parse_int, shortest
from farm.spec.template.printing import text_of
from farm.spec.template.registry import define, function
from farm.spec.template.values import Fault, Int64, Value, wrap64

MAX_RANGE = 1_000_000
_ZERO_DECIMAL = re.compile(r"\.0+\Z")
_CONTEXT = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_UP, Emax=999_999, Emin=-999_999)


def to_int64(value: Value) -> int:
    """cast.ToInt64"""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return int(value) if abs(value) < 2**63 else -(1 << 63)
    if isinstance(value, str):
        return parse_int(_ZERO_DECIMAL.sub("", value)) or 0
    return 0


def to_float(value: Value) -> float:
    """cast.ToFloat64"""
    if isinstance(value, (int, float)):
        return float(value)
    return (parse_float(value) or 0.0) if isinstance(value, str) else 0.0


def _sum(*values: Value) -> Int64:
    return Int64(wrap64(sum(map(to_int64, values))))


def _product(*values: Value) -> Int64:
    result = 1
    for value in values:
        result = wrap64(result * to_int64(value))
    return Int64(result)


def _divided(left: Value, right: Value) -> tuple[int, int]:
    """Quotient and remainder, cut towards zero as in Go."""
    dividend, divisor = to_int64(left), to_int64(right)
    if not divisor:
        raise Fault("integer divide by zero")
    quotient = abs(dividend) // abs(divisor)
    quotient = quotient if (dividend < 0) == (divisor < 0) else -quotient
    return wrap64(quotient), dividend - quotient * divisor


define("add", "*any", _sum)
define("add1", "any", lambda value: _sum(value, 1))
define("sub", "any any", lambda left, right: Int64(wrap64(to_int64(left) - to_int64(right))))
define("mul", "any *any", _product)
define("div", "any any", lambda left, right: Int64(_divided(left, right)[0]))
define("mod", "any any", lambda left, right: Int64(_divided(left, right)[1]))
for _name in ("max", "biggest"):
    define(_name, "any *any", lambda *values: Int64(max(map(to_int64, values))))
define("min", "any *any", lambda *values: Int64(min(map(to_int64, values))))


def _decimal(value: Value) -> Decimal:
    number = to_float(value)
    if not math.isfinite(number):
        raise Fault(f"cannot calculate with {text_of(number)}")
    digits, exponent = shortest(number)
    result = Decimal(digits).scaleb(exponent - len(digits) + 1, _CONTEXT)
    return -result if number < 0 else result


def _decimals(values: tuple[Value, ...], work: Callable[[Decimal, Decimal], Decimal]) -> float:
    result = _decimal(values[0])
    for value in values[1:]:
        result = work(result, _decimal(value))
    return float(result) + 0.0  # never -0


def _quotient(left: Decimal, right: Decimal) -> Decimal:
    if not right:
        raise Fault("decimal division by 0")
    return _CONTEXT.divide(left, right).quantize(Decimal("1e-16"), context=_CONTEXT)


define("addf", "*any", lambda *values: _decimals((0, *values), _CONTEXT.add))
define("add1f", "any", lambda value: _decimals((value, 1), _CONTEXT.add))
define("subf", "any *any", lambda *values: _decimals(values, _CONTEXT.subtract))
define("mulf", "any *any", lambda *values: _decimals(values, _CONTEXT.multiply))
define("divf", "any *any", lambda *values: _decimals(values, _quotient))
define("maxf", "any *any", lambda *values: max(map(to_float, values)))
define("minf", "any *any", lambda *values: min(map(to_float, values)))


def _whole(work: Callable[[float], int], value: Value) -> float:
    number = to_float(value)
    return float(work(number)) if math.isfinite(number) else number


@function("round", args="any int *float")
def _round(value: Value, places: int, *at: float) -> float:
    power = math.pow(10, places)
    digit = power * to_float(value)
    if not math.isfinite(digit) or not power:
        raise Fault("round: the number is too large")
    up = math.modf(digit)[0] >= (at[0] if at else 0.5)
    return (math.ceil(digit) if up else math.floor(digit)) / power


def _steps(start: int, stop: int, step: int) -> list[int]:
    """sprig's untilStep"""
    if (stop < start and step >= 0) or (stop >= start and step <= 0):
        return []
    numbers = range(start, stop, step)
    if len(numbers) > MAX_RANGE:
        raise Fault(f"a list of more than {MAX_RANGE} numbers")
    return list(numbers)


@function("seq", args="*int")
def _seq(*bounds: int) -> str:
    if not 1 <= len(bounds) <= 3:
        return ""
    start, end = (1, bounds[0]) if len(bounds) == 1 else (bounds[0], bounds[-1])
    sign = -1 if end < start else 1
    step = bounds[1] if len(bounds) == 3 else sign
    if len(bounds) == 3 and sign < 0 and step > 0:
        return ""
    return " ".join(map(str, _steps(start, end + sign, step)))


def _octal(value: Value) -> Int64:
    try:
        return Int64(int(text_of(value), 8))
    except ValueError:
        return Int64(0)


define("until", "int", lambda count: _steps(0, count, -1 if count < 0 else 1))
define("untilStep", "int int int", _steps)
define("floor", "any", lambda value: _whole(math.floor, value))
define("ceil", "any", lambda value: _whole(math.ceil, value))
define("atoi", "string", lambda text: parse_decimal(text) or 0)
define("int", "any", to_int64)
define("int64", "any", lambda value: Int64(to_int64(value)))
define("float64", "any", to_float)
define("toDecimal", "any", _octal)
