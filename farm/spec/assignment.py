# SPDX-License-Identifier: GPL-3.0-or-later
"""``env`` entries of specs: the argument of a Dockerfile ``ENV`` instruction, taken apart but not yet expanded.

Source of the rules: Dockerfile reference, "ENV": ``A=1 B="x y"`` or ``A some words``.
"""

from __future__ import annotations

import re

from farm.spec.problem import error

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_CONTINUED = re.compile(r"\\[ \t]*\n")
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""", re.DOTALL)


def assignments(line: str) -> list[tuple[str, str]]:
    """Names and raw values of one ``env`` entry. FarmError ``bad-env``."""
    text = _CONTINUED.sub("", line).strip()
    first = _NAME.match(text)
    if first is None:
        raise _bad(line)
    rest = text[first.end() :]
    if rest[:1].isspace():
        return [(first.group(), rest.strip())]
    pairs = []
    position = 0
    while position < len(text):
        match = _WORD.match(text, position)
        name, equals, value = match.group().partition("=") if match else ("", "", "")
        if match is None or not equals or not _NAME.fullmatch(name):
            raise _bad(line)
        pairs.append((name, value))
        position = match.end()
        position += len(text[position:]) - len(text[position:].lstrip())
    return pairs


def assignment(name: str, value: str) -> str:
    """The entry that sets a variable to exactly this text."""
    inside = value.replace("'", r"'\''")
    return f"{name}='{inside}'"


def _bad(line: str) -> Exception:
    hint = 'write NAME=value, and quote a value that has spaces: NAME="a b"'
    return error("bad-env", f"{line!r} sets no variable", hint=hint)
