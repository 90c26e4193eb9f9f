# SPDX-License-Identifier: GPL-3.0-or-later
"""sprig's defaults.go: default, empty, coalesce, all, any, ternary."""

from __future__ import annotations

from farm.spec.template.registry import define, function
from farm.spec.template.values import Value, is_true


def _first_true(values: tuple[Value, ...]) -> Value:
    return next((value for value in values if is_true(value)), None)


@function("default", args="any *any")
def _default(fallback: Value, *given: Value) -> Value:
    return given[0] if given and is_true(given[0]) else fallback


define("empty", "any", lambda value: not is_true(value))
define("coalesce", "*any", lambda *values: _first_true(values))
define("all", "*any", lambda *values: all(map(is_true, values)))
define("any", "*any", lambda *values: any(map(is_true, values)))
define("ternary", "any any bool", lambda yes, no, test: yes if test else no)
