# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of a job: ``env`` entries of specs are arguments of Dockerfile ``ENV`` instructions.

Source of the rules: Dockerfile reference, "Environment replacement": quotes, backslashes, ``$A``, ``${A}``,
``${A:-word}`` and ``${A:+word}``. How an entry is taken apart: farm/spec/assignment.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from farm.spec.assignment import assignments

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACES = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([-+])((?:[^{}]|\{[^{}]*\})*))?\}")


def evaluate(lines: Iterable[str], base: Mapping[str, str]) -> dict[str, str]:
    """The environment after all ``lines`` (lowest layer's first) on top of ``base``.

    FarmError ``bad-env`` when a line is no ``ENV`` argument.
    """
    env = dict(base)
    for line in lines:
        before = dict(env)
        for name, value in assignments(line):
            env[name] = _expand(value, before)
    return env


def _expand(value: str, env: Mapping[str, str]) -> str:
    out: list[str] = []
    quote = ""
    i = 0
    while i < len(value):
        c = value[i]
        if quote == "'":
            if c == "'":
                quote = ""
            else:
                out.append(c)
        elif c in "'\"" and (not quote or c == quote):
            quote = "" if quote else c
        elif c == "\\" and i + 1 < len(value):
            i += 1
            if quote and value[i] not in '"$\\':
                out.append("\\")
            out.append(value[i])
        elif c == "$":
            text, i = _variable(value, i, env)
            out.append(text)
            continue
        else:
            out.append(c)
        i += 1
    return "".join(out)


def _variable(value: str, start: int, env: Mapping[str, str]) -> tuple[str, int]:
    """The replacement of the variable at ``start`` and the index behind it."""
    if match := _BRACES.match(value, start):
        name, operator, word = match.groups()
        current = env.get(name, "")
        if operator == "-" and not current:
            current = _expand(word, env)
        elif operator == "+":
            current = _expand(word, env) if current else ""
        return current, match.end()
    if match := _NAME.match(value, start + 1):
        return env.get(match.group(), ""), match.end()
    return "$", start + 1
