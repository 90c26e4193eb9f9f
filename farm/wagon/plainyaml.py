# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes plain data as block YAML: the same data gives the same bytes, whatever the YAML library's version.

Text is plain only where no YAML reader (1.1 or 1.2, Go's or libyaml's) can take it for something else; all other
text is double-quoted as JSON has it, which is YAML, too.
"""

from __future__ import annotations

import json
import re
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./+@=-]*")
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"))
_HIDDEN = re.compile("[\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff\u2028\u2029]")


def dump(data: dict[str, Any]) -> str:
    """A document of mappings, lists and scalars, its keys in the order given. What YAML cannot hold is escaped."""
    lines: list[str] = []
    _mapping(data, "", "", lines)
    return "\n".join(lines) + "\n" if lines else "{}\n"


def scalar(value: Any) -> str:
    """One value on one line."""
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else quoted(value)
    return quoted(value)


def quoted(value: Any) -> str:
    """JSON that every YAML reader takes."""
    text = json.dumps(value, ensure_ascii=False)
    return _HIDDEN.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def _mapping(data: dict[str, Any], first: str, indent: str, lines: list[str]) -> None:
    for key, value in data.items():
        _item(f"{first}{scalar(str(key))}:", value, indent, lines)
        first = indent


def _item(head: str, value: Any, indent: str, lines: list[str]) -> None:
    if isinstance(value, dict) and value:
        lines.append(head)
        _mapping(value, indent + "  ", indent + "  ", lines)
    elif isinstance(value, (list, tuple)) and value:
        lines.append(head)
        for child in value:
            _element(child, indent, lines)
    else:
        lines.append(f"{head} {scalar(value)}")


def _element(value: Any, indent: str, lines: list[str]) -> None:
    if isinstance(value, dict) and value:
        _mapping(value, f"{indent}- ", indent + "  ", lines)
    else:
        lines.append(f"{indent}- {scalar(value)}")
