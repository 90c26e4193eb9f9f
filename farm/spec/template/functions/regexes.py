# SPDX-License-Identifier: GPL-3.0-or-later
"""sprig's regex.go, with Go's syntax of regular expressions and of replacements."""

from __future__ import annotations

import re

from farm.spec.template.functions.strings import bounded
from farm.spec.template.regexengine import Regex, Spans, compile_regex
from farm.spec.template.registry import define, function
from farm.spec.template.values import Fault

_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})")
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")


def _group(regex: Regex, name: str, count: int) -> int:
    """The number of a group that a replacement names; -1 when there is none."""
    if name.isascii() and name.isdigit():
        return int(name) if len(name) < 5 and int(name) < count else -1
    return regex.names.get(name, -1)


def _expanded(regex: Regex, replacement: str, text: str, spans: Spans) -> str:
    def one(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name is None:
            return "$"
        index = _group(regex, name, len(spans))
        return text[slice(*spans[index])] if index >= 0 and spans[index][0] >= 0 else ""

    return _REFERENCE.sub(one, replacement)


def replaced(regex_text: str, text: str, replacement: str, literal: bool) -> str:
    """Go's ReplaceAllString (``literal``: ReplaceAllLiteralString). Raises Fault."""
    regex = compile_regex(regex_text)
    parts, last, size = [], 0, 0
    for spans in regex.find_all(text):
        start, end = spans[0]
        new = replacement if literal else _expanded(regex, replacement, text, spans)
        size += len(new)
        bounded(size)
        parts += [text[last:start], new]
        last = end
    return "".join([*parts, text[last:]])


def _found(regex_text: str, text: str) -> str:
    spans = compile_regex(regex_text).search(text)
    return text[slice(*spans[0])] if spans else ""


def _all(regex_text: str, text: str, count: int) -> list[str]:
    found: list[str] = []
    for spans in compile_regex(regex_text).find_all(text):
        if len(found) == count:
            break
        found.append(text[slice(*spans[0])])
    return found


def _split(regex_text: str, text: str, count: int) -> list[str]:
    """regexp.Split"""
    regex = compile_regex(regex_text)
    if count == 0:
        return []
    if regex_text and not text:
        return [""]
    parts: list[str] = []
    begin = end = 0
    for spans in regex.find_all(text):
        if count > 0 and len(parts) == count - 1:
            break
        end = spans[0][0]
        if spans[0][1]:
            parts.append(text[begin:end])
        begin = spans[0][1]
    return [*parts, text[begin:]] if end != len(text) else parts


@function("regexMatch", args="string string")
def _match(regex_text: str, text: str) -> bool:
    """sprig ignores a wrong expression here: nothing matches it."""
    try:
        regex = compile_regex(regex_text)
    except Fault:
        return False
    return regex.search(text) is not None


define("mustRegexMatch", "string string", lambda regex, text: compile_regex(regex).search(text) is not None)
for _prefix in ("regex", "mustRegex"):
    define(_prefix + "Find", "string string", _found)
    define(_prefix + "FindAll", "string string int", _all)
    define(_prefix + "ReplaceAll", "string string string", lambda regex, text, new: replaced(regex, text, new, False))
    define(
        _prefix + "ReplaceAllLiteral",
        "string string string",
        lambda regex, text, new: replaced(regex, text, new, True),
    )
    define(_prefix + "Split", "string string int", _split)
define("regexQuoteMeta", "string", lambda text: _META.sub(lambda match: "\\" + match.group(), text))
