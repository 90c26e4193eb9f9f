# SPDX-License-Identifier: GPL-3.0-or-later
"""The next build of the same version, and a definition.yaml that says so and is otherwise left as it was written.

The rule is anise's (luet's BumpBuildVersion): what stands behind the last ``+`` counts up.
"""

from __future__ import annotations

import dataclasses
import re

import yaml

from farm.spec.model import PackageId
from farm.spec.problem import FarmError, Place, Problem
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


def bump_definition(text: str, file: str, version: str | None = None) -> Bumped:
    """A definition.yaml with the next build's version, or with ``version``; nothing else of it is changed.

    FarmError with what is wrong with the file (``missing-key``, ``wrong-type``, …) or with the version.
    """
    parsed = parse(text, file, _IDENTITY)
    found = _identity(parsed, file)
    new = bump_version(found["version"]) if version is None else version
    Version.parse(new)
    return Bumped(PackageId(found["category"], found["name"], new), _replaced(text, parsed, new))


def _identity(parsed: Parsed, file: str) -> dict[str, str]:
    """Name, category and version of the definition."""
    if any(problem.severity == "error" for problem in parsed.problems):
        raise FarmError(parsed.problems)
    data = parsed.data if isinstance(parsed.data, dict) else {}
    missing = [key for key in _IDENTITY if not isinstance(data.get(key), str) or not data[key]]
    if missing:
        hint = "a definition.yaml has category, name and version, as texts"
        raise FarmError([Problem("missing-key", f"there is no {key}", Place(file), hint) for key in missing])
    return {key: data[key] for key in _IDENTITY}


def _replaced(text: str, parsed: Parsed, version: str) -> str:
    assert isinstance(parsed.root, yaml.MappingNode), "it has keys"
    node = next(value for key, value in parsed.root.value if key.value == "version")
    quote = "'" if node.style == "'" else '"'
    return f"{text[: node.start_mark.index]}{quote}{version}{quote}{text[node.end_mark.index :]}"
