# SPDX-License-Identifier: GPL-3.0-or-later
"""Subsets: which files of a package are left out because nobody enabled the subset that they belong to.

Rules are Go regular expressions on ``/path`` (on ``/path/`` for a folder), as anise's client applies them; other
than there, they hold for packages of every compression.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from farm.client.config import ClientConfig, SubsetDefinition
from farm.spec.model import PackageId
from farm.spec.problem import FarmError, Problem
from farm.spec.regex import compile_go


@dataclasses.dataclass(frozen=True, slots=True)
class Ignore:
    """Rules of what is left out of one package."""

    patterns: tuple[re.Pattern[str], ...] = ()

    def matches(self, path: bytes, is_folder: bool = False) -> bool:
        """Whether the entry at ``path`` (no leading slash) is left out."""
        if not self.patterns:
            return False
        text = "/" + os.fsdecode(path) + ("/" if is_folder else "")
        return any(pattern.search(text) for pattern in self.patterns)

    def matches_name(self, path: str) -> bool:
        """The same for a file's path as text."""
        return any(pattern.search("/" + path) for pattern in self.patterns)


def ignored(package: PackageId, runtime: Mapping[str, Any], config: ClientConfig) -> Ignore:
    """What is left out of a package by the subsets that are not enabled. FarmError ``bad-regex``."""
    enabled = set(config.subsets_enabled)
    found = rules(package, runtime, config.subsets_definitions)
    texts = [text for subset, listed in found.items() if subset not in enabled for text in listed]
    return _compiled(texts, package)


def rules(
    package: PackageId, runtime: Mapping[str, Any], definitions: Sequence[SubsetDefinition]
) -> dict[str, tuple[str, ...]]:
    """Subset → rules: the package's own, overridden by local ones for it, or else by those for its category."""
    found = _annotated(runtime)
    local = [one for one in definitions if package.atom in one.packages]
    local = local or [one for one in definitions if package.category in one.categories]
    found |= {one.name: one.rules for one in local}
    return found


def _annotated(runtime: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    subsets = (runtime.get("annotations") or {}).get("subsets")
    listed = subsets.get("rules") if isinstance(subsets, Mapping) else None
    if not isinstance(listed, Mapping):
        return {}
    return {str(name): tuple(str(text) for text in texts or ()) for name, texts in listed.items()}


def _compiled(texts: Iterable[str], package: PackageId) -> Ignore:
    try:
        return Ignore(tuple(compile_go(text) for text in texts))
    except FarmError as failure:
        raise FarmError([_of(problem, package) for problem in failure.problems]) from failure


def _of(problem: Problem, package: PackageId) -> Problem:
    return dataclasses.replace(problem, message=f"subset rules of {package}: {problem.message}", package=str(package))
