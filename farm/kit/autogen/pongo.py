# SPDX-License-Identifier: GPL-3.0-or-later
"""pongo2's templates (Django's language, https://github.com/flosch/pongo2) written over for Jinja2.

Expressions and tags that both have are left alone. docs/autogen.md lists what is written over, and what is not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_PIECE = re.compile(r"\{%-?.*?-?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
_COMMENT = re.compile(r"\{%-?\s*comment\b.*?endcomment\s*-?%\}", re.DOTALL)
_TAG = re.compile(r"\{%(-?)\s*(\w+)\s*(.*?)\s*(-?)%\}", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_ARGUMENT = re.compile(r"\|\s*(\w+)\s*:\s*(\x00\d+\x00|[\w.-]+)")
_LOOP = {"Counter0": "index0", "Counter": "index", "Revcounter0": "revindex0", "Revcounter": "revindex",
         "First": "first", "Last": "last", "Parentloop": "parentloop"}  # fmt: skip
_DROPPED = frozenset(("autoescape", "endautoescape", "spaceless", "endspaceless"))


def to_jinja(text: str) -> str:
    """The same template in Jinja2's language."""
    return _PIECE.sub(lambda match: _piece(match[0]), _COMMENT.sub("", text))


def _piece(piece: str) -> str:
    if piece.startswith("{#"):
        return piece
    if piece.startswith("{{"):
        return _expression(piece)
    tag = _TAG.fullmatch(piece)
    if tag is None:
        return piece
    before, word, rest, after = tag.groups()
    rest = _expression(rest)
    if word in _DROPPED:
        return f"{{%{before} if true {after}%}}{{%- endif %}}" if before or after else ""
    if word == "empty":
        word = "else"
    if word in ("ifequal", "ifnotequal"):
        parts = rest.split(None, 1)
        sign = "==" if word == "ifequal" else "!="
        word, rest = "if", f"{parts[0]} {sign} {parts[1]}" if len(parts) == 2 else rest
    if word in ("endifequal", "endifnotequal"):
        word = "endif"
    if word == "for":
        rest = re.sub(r"\bin\s+(\S+)\s+reversed$", r"in \1|reverse", rest)
    return f"{{%{before} {word} {rest} {after}%}}"


def _expression(text: str) -> str:
    """Filters' arguments in brackets, Go's operators as words; texts in quotes are left as they are."""
    strings: list[str] = []

    def keep(match: re.Match[str]) -> str:
        strings.append(match[0])
        return f"\x00{len(strings) - 1}\x00"

    text = _STRING.sub(keep, text)
    text = _ARGUMENT.sub(r"|\1(\2)", text)
    text = text.replace("&&", " and ").replace("||", " or ")
    text = re.sub(r"!(?!=)", " not ", text)
    text = re.sub(r"\bforloop\.(\w+)", lambda match: "loop." + _LOOP.get(match[1], match[1]), text)
    text = re.sub(r"\bnil\b", "none", text)
    return re.sub(r"\x00(\d+)\x00", lambda match: strings[int(match[1])], text)


def _slice(value: Any, argument: str) -> Any:
    first, _, last = str(argument).partition(":")
    return value[int(first) if first else None : int(last) if last else None]


FILTERS: dict[str, Callable[..., Any]] = {
    "cut": lambda value, what: str(value).replace(str(what), ""),
    "slice": _slice,
    "split": lambda value, separator: str(value).split(str(separator)),
    "add": lambda value, other: value + other,
    "addslashes": lambda value: re.sub(r"([\\\"'])", r"\\\1", str(value)),
    "capfirst": lambda value: str(value)[:1].upper() + str(value)[1:],
    "default": lambda value, other="": value or other,
    "default_if_none": lambda value, other: other if value is None else value,
    "divisibleby": lambda value, other: int(value) % int(other) == 0,
    "integer": lambda value: int(float(value or 0)),
    "length_is": lambda value, size: len(value) == int(size),
    "ljust": lambda value, width: str(value).ljust(min(int(width), 1000)),
    "rjust": lambda value, width: str(value).rjust(min(int(width), 1000)),
    "make_list": lambda value: list(str(value)),
    "stringformat": lambda value, form: ("%" + str(form).lstrip("%")) % value,
    "truncatechars": lambda value, size: (
        str(value) if len(str(value)) <= int(size) else str(value)[: int(size) - 3] + "..."
    ),
    "yesno": lambda value, words="yes,no,maybe": _yesno(value, str(words).split(",")),
}
"""pongo2's filters that Jinja2 has not, or has with another meaning."""


def _yesno(value: Any, words: list[str]) -> str:
    if value is None:
        return words[2] if len(words) > 2 else words[1]
    return words[0] if value else words[1]
