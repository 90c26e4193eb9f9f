# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of a job: ``env`` entries of specs are arguments of Dockerfile ``ENV`` instructions.

Source of the rules: Dockerfile reference, "ENV" and "Environment replacement". ``A=1 B="x y"``,
``A some words``, quotes, backslashes, ``$A``, ``${A}``, ``${A:-word}`` and ``${A:+word}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from farm.spec.problem import error

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""", re.DOTALL)
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


def assignments(line: str) -> list[tuple[str, str]]:
    """Names and raw values of one ``ENV`` argument. FarmError ``bad-env``."""
    text = line.strip()
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


def _bad(line: str) -> Exception:
    hint = 'write NAME=value, and quote a value that has spaces: NAME="a b"'
    return error("bad-env", f"{line!r} is no environment entry", hint=hint)


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
