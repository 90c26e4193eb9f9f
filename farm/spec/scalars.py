# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain YAML scalars typed the way go-yaml 2 (and so anise) types them.

YAML 1.1 booleans, integers with 0x, 0o, 0b or 0 in front, ``_`` between digits; no dates, no base 60.
"""

from __future__ import annotations

import re
from typing import Any

_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((f(w) for w in ("y", "yes", "on", "true") for f in (str.lower, str.title, str.upper)), True),
    **dict.fromkeys((f(w) for w in ("n", "no", "off", "false") for f in (str.lower, str.title, str.upper)), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((s + w for s in ("", "+") for w in (".inf", ".Inf", ".INF")), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_LONGEST_WORD = max(map(len, _WORDS))
_INTEGER = re.compile(r"[-+]?(?:0[bB][01]+|0[oO]?[0-7]+|0[xX][0-9a-fA-F]+|0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_MAX_DIGITS = 300


def scalar(text: str) -> Any:
    """A plain scalar as go-yaml 2 types it (``resolve.go``)."""
    if len(text) <= _LONGEST_WORD and text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or len(text) > _MAX_DIGITS:
        return text
    digits = text.replace("_", "")
    if _INTEGER.fullmatch(digits):
        return _integer(digits)
    return float(digits) if _FLOAT.fullmatch(digits) else text


def _integer(digits: str) -> int:
    bare = digits.lstrip("+-")
    base = {"x": 16, "b": 2, "o": 8}.get(bare[1:2].lower(), 8 if bare[0] == "0" else 10)
    return int(digits.replace("o", "").replace("O", ""), base)
