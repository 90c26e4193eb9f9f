# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts in a YAML file that are replaced where they stand; everything else stays byte for byte.

No YAML writer keeps comments, quotes and anchors as people wrote them. So only the characters of the values are
replaced, and the result is parsed again: when anything but these values differs, nothing is changed.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

import yaml

from farm.spec.problem import FarmError, Problem, error
from farm.spec.yamltext import Parsed, Path, parse

_PROPERTIES = re.compile(r"(?:[&!][^\s]*\s+)+")
_MARK = "\ufeff"


def edit_text(text: str, file: str, values: Mapping[tuple[str | int, ...], str]) -> str:
    """``text`` with new texts at these paths, in quotes. ``file`` is what problems call it.

    FarmError: what is wrong with the YAML; ``missing-key``; ``wrong-type`` when a path leads to a list or mapping;
    ``cannot-edit`` when a value stands in several places by an alias.
    """
    mark = _MARK if text.startswith(_MARK) else ""
    body = text.removeprefix(_MARK)
    parsed = _parsed(body, file)
    spans = sorted((_span(body, parsed, path, value) for path, value in values.items()), reverse=True)
    edited = body
    for start, end, written in spans:
        edited = edited[:start] + written + edited[end:]
    _check(parsed, _parsed(edited, file), values)
    return mark + edited


def _parsed(text: str, file: str) -> Parsed:
    parsed = parse(text, file)
    wrong = [problem for problem in parsed.problems if problem.severity == "error"]
    if wrong:
        raise FarmError(wrong)
    return parsed


def _span(text: str, parsed: Parsed, path: Path, value: str) -> tuple[int, int, str]:
    """Where a value begins and ends, and what is to stand there."""
    node = parsed.node(path)
    name = ".".join(map(str, path))
    if node is None:
        raise FarmError(Problem("missing-key", f"there is no {name}", parsed.place(path), f"add {path[-1]}: ''"))
    if not isinstance(node, yaml.ScalarNode):
        raise FarmError(Problem("wrong-type", f"{name} is no text", parsed.place(path)))
    start, end = node.start_mark.index, node.end_mark.index
    properties = _PROPERTIES.match(text, start, end)
    start = properties.end() if properties else start
    return start, end, _quoted(node, value)


def _quoted(node: yaml.ScalarNode, value: str) -> str:
    if node.style == "'":
        return "'" + value.replace("'", "''") + "'"
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{quoted}\n" if node.style in ("|", ">") else quoted


def _check(before: Parsed, after: Parsed, values: Mapping[tuple[str | int, ...], str]) -> None:
    wanted: Any = copy.deepcopy(before.data)
    for path, value in values.items():
        holder = wanted
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = value
    if after.data != wanted:
        path = next(iter(values))
        hint = "write the value out where it is used, without & and *"
        message = f"{'.'.join(map(str, path))} cannot be changed alone"
        raise error("cannot-edit", message, place=before.place(path), hint=hint)
