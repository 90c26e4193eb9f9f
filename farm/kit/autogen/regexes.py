# SPDX-License-Identifier: GPL-3.0-or-later
"""Go's regular expressions, as the specification's keys have them; matched in linear time where it matters."""

from __future__ import annotations

from farm.spec.problem import FarmError, error
from farm.spec.template.functions.regexes import replaced
from farm.spec.template.regexengine import compile_regex
from farm.spec.template.values import Fault


def matches(pattern: str, text: str) -> bool:
    """Whether the expression matches anywhere in ``text``. FarmError ``bad-regex``."""
    try:
        return compile_regex(pattern).search(text) is not None
    except Fault as fault:
        raise _bad(pattern, fault) from None


def replace_all(pattern: str, text: str, replacement: str) -> str:
    """Go's ReplaceAllString: ``$1`` and ``${name}`` in the replacement stand for groups. FarmError ``bad-regex``."""
    try:
        return replaced(pattern, text, replacement, False)
    except Fault as fault:
        raise _bad(pattern, fault) from None


def _bad(pattern: str, fault: Fault) -> FarmError:
    shown = pattern if len(pattern) <= 80 else pattern[:77] + "..."
    hint = "regular expressions are Go's: no look-around, no back-references"
    return error("bad-regex", f"bad regular expression {shown!r}: {fault.message}", hint=hint)
