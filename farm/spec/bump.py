# SPDX-License-Identifier: GPL-3.0-or-later
"""The next build of the same version, and a definition that says so and is otherwise left as it was written.

The rule is anise's (luet's BumpBuildVersion): what stands behind the last ``+`` counts up.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from farm.spec.edit import edit_text
from farm.spec.model import PackageId
from farm.spec.problem import FarmError, Problem
from farm.spec.version import Version
from farm.spec.yamltext import TEXT, Parsed, parse

_COUNTED = re.compile(r"(.*?)([0-9]+)", re.DOTALL)
_IDENTITY = {"name": TEXT, "category": TEXT, "version": TEXT}


def bump_version(version: str) -> str:
    """The version of the next build: ``1.0`` → ``1.0+1`` → ``1.0+2``, ``1.0+pre.3`` → ``1.0+pre.4``.

    FarmError ``bad-version`` when it is none.
    """
    Version.parse(version)
    main, plus, build = version.rpartition("+")
    if not plus:
        return f"{version}+1"
    counted = _COUNTED.fullmatch(build)
    if counted is None:
        return f"{version}.1"
    return f"{main}+{counted[1]}{int(counted[2]) + 1}"


@dataclasses.dataclass(frozen=True, slots=True)
class Bumped:
    """Who the package is now, and the text of its definition."""

    id: PackageId
    text: str


def bump_definition(
    text: str,
    file: str,
    version: str | None = None,
    *,
    entry: int | None = None,
    labels: Mapping[str, str] | None = None,
) -> Bumped:
    """A definition with the next build's version, or with ``version``; nothing else of it is changed.

    ``text`` is a definition.yaml, or with ``entry`` a collection.yaml of which that entry is meant (from 0). ``labels``
    that it has get new texts, too. FarmError with what is wrong with the file (``missing-key``, ``wrong-type``, …),
    with the version, or as `edit_text`.
    """
    base: tuple[str | int, ...] = () if entry is None else ("packages", entry)
    shape: Any = _IDENTITY if entry is None else {"packages": [_IDENTITY]}
    parsed = parse(text.removeprefix("\ufeff"), file, shape)
    found = _identity(parsed, base)
    new = bump_version(found["version"]) if version is None else version
    Version.parse(new)
    values = {(*base, "version"): new} | {(*base, "labels", key): value for key, value in (labels or {}).items()}
    return Bumped(PackageId(found["category"], found["name"], new), edit_text(text, file, values))


def _identity(parsed: Parsed, base: tuple[str | int, ...]) -> dict[str, str]:
    """Name, category and version of the definition."""
    if any(problem.severity == "error" for problem in parsed.problems):
        raise FarmError(parsed.problems)
    data = parsed.data
    for step in base:
        data = _step(data, step)
    data = data if isinstance(data, dict) else {}
    missing = [key for key in _IDENTITY if not isinstance(data.get(key), str) or not data[key]]
    if missing:
        hint = "a definition has category, name and version, as texts"
        place = parsed.place(base)
        raise FarmError([Problem("missing-key", f"there is no {key}", place, hint) for key in missing])
    return {key: data[key] for key in _IDENTITY}


def _step(data: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return data[step] if isinstance(data, list) and 0 <= step < len(data) else None
    return data.get(step) if isinstance(data, dict) else None
