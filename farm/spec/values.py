# SPDX-License-Identifier: GPL-3.0-or-later
"""What templates see as ``.Values``, in one precedence for every command (docs/values.md).

From low to high: the package's own keys (its definition.yaml, or its entry of a collection.yaml), then the value
files in the order given. Mappings are merged key by key, everything else is replaced; ``false``, 0 and "" are
values like any other, and so is ``null``. Name, category and version are always the package's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.spec.problem import FarmError, Place, Problem
from farm.spec.scan import read_regular
from farm.spec.schema import explain, valid
from farm.spec.yamltext import decode, parse

IDENTITY = ("name", "category", "version")
"""Keys that no value file can override."""


def merge(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """A new mapping: ``high`` over ``low``, mappings merged deeply. Neither is changed; they may be shared in part."""
    merged = {**low, **high}
    for key in low.keys() & high.keys():
        below, above = low[key], high[key]
        if isinstance(below, dict) and isinstance(above, dict):
            merged[key] = merge(below, above)
    return merged


def template_values(own: Mapping[str, Any], files: Mapping[str, Any]) -> dict[str, Any]:
    """The ``.Values`` of one package, given its own keys and the merged value files."""
    values = merge(own, files)
    values.update((key, own[key]) for key in IDENTITY if key in own)
    return values


def read_value_files(files: Sequence[Path]) -> dict[str, Any]:
    """All value files merged, a later one over an earlier one.

    FarmError with all that is wrong: without its values no package can be trusted to be what is wanted.
    """
    merged: dict[str, Any] = {}
    problems: list[Problem] = []
    for file in files:
        data, found = _read(file)
        problems += found
        merged = merge(merged, data)
    if any(p.severity == "error" for p in problems):
        raise FarmError(problems)
    return merged


def _read(file: Path) -> tuple[dict[str, Any], list[Problem]]:
    name = str(file)
    try:
        content = read_regular(name)
    except FileNotFoundError:
        return {}, [Problem("missing-values", "no such value file", Place(name), "check the path given")]
    except OSError as e:
        return {}, [Problem("unreadable-file", f"cannot be read: {e.strerror or e}", Place(name))]
    text, problems = decode(content, name)
    parsed = parse(text, name)
    problems += parsed.problems
    if parsed.data is not None and not valid("values", parsed.data):
        findings = explain("values", parsed.data)
        problems += [Problem(f.code, f.message, parsed.place(f.path), "write KEY: VALUE lines") for f in findings]
        return {}, problems
    return parsed.data or {}, problems
