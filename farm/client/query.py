# SPDX-License-Identifier: GPL-3.0-or-later
"""Searching among packages, of wagons or installed, and which files are whose."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from farm.client.catalog import Catalog
from farm.client.change import Candidate
from farm.client.database import Installed, requirements
from farm.spec.index import Index
from farm.spec.model import PackageId, Requirement
from farm.spec.regex import compile_go
from farm.spec.selector import Target, parse_target
from farm.spec.version import Version


@dataclasses.dataclass(frozen=True, slots=True)
class Stone:
    """A package as searching shows it. ``files`` are without leading slash."""

    id: PackageId
    repository: str
    runtime: Mapping[str, Any] = dataclasses.field(hash=False)
    files: tuple[str, ...] = ()

    @property
    def hidden(self) -> bool:
        """Whether it is shown only when hidden packages are asked for."""
        return bool(self.runtime.get("hidden"))

    @property
    def provides(self) -> tuple[Requirement, ...]:
        """What else it stands in for."""
        return requirements(self.runtime, "provides")

    def document(self, *, full: bool = False, files: bool = False, prefix: str = "") -> dict[str, Any]:
        """Plain data with the keys of the Go client's ``-o json``; empty ones are left out."""
        given = {"license": self.runtime.get("license"), "repository": self.repository, "hidden": self.hidden}
        if files:
            given["files"] = [f"{prefix}{path}" for path in self.files]
        given |= {key: self.runtime.get(key) for key in ("annotations", "labels")}
        if full:
            given["use_flags"] = self.runtime.get("use_flags")
            for key in ("provides", "requires", "conflicts"):
                given[key] = [_plain(one) for one in requirements(self.runtime, key)]
        identity = {"name": self.id.name, "category": self.id.category, "version": self.id.version}
        return identity | {key: value for key, value in given.items() if value}


@dataclasses.dataclass(frozen=True, slots=True)
class Criteria:
    """What is searched for. Within a field, one is enough; of the fields that are set, all (``either``: one).

    ``matches`` are regular expressions on ``category/name``, ``categories`` on the category, ``label_matches`` on a
    label's ``name`` or ``name=value``; ``packages`` are targets, which also find what provides them.
    """

    matches: Sequence[str] = ()
    names: Sequence[str] = ()
    packages: Sequence[str] = ()
    categories: Sequence[str] = ()
    labels: Sequence[str] = ()
    label_matches: Sequence[str] = ()
    annotations: Sequence[str] = ()
    hidden: bool = False
    either: bool = False


def search(stones: Iterable[Stone], criteria: Criteria) -> list[Stone]:
    """The stones that fit, by name, category, version and repository. FarmError ``bad-regex``, ``bad-target``."""
    tests = _tests(criteria)
    combine = any if criteria.either else all
    found = [s for s in stones if (criteria.hidden or not s.hidden) and (not tests or combine(t(s) for t in tests))]
    return sorted(
        found, key=lambda s: (s.id.category, s.id.name, Version.parse(s.id.version), s.id.version, s.repository)
    )


def stones_of(packages: Iterable[Candidate | Installed]) -> list[Stone]:
    """Packages as stones."""
    return [_stone(package) for package in packages]


def belongs(stones: Iterable[Stone], paths: Sequence[str]) -> list[Stone]:
    """Those that have one of the files; of a path that nobody has, those with a file that contains it (as luet)."""
    there = list(stones)
    owned = {path for stone in there for path in stone.files}
    wanted = [path.lstrip("/") for path in paths]
    exact = {path for path in wanted if path in owned}
    parts = [path for path in wanted if path not in owned]
    return [
        stone
        for stone in there
        if not exact.isdisjoint(stone.files) or any(part in path for part in parts for path in stone.files)
    ]


def orphans(catalog: Catalog, installed: Iterable[Installed]) -> list[Installed]:
    """The installed packages that no enabled repository has, in whatever version."""
    offered = {(one.id.category, one.id.name) for one in catalog.candidates}
    offered |= {(package.category, package.name) for package in catalog.masked}
    return [package for package in installed if (package.id.category, package.id.name) not in offered]


def unneeded(installed: Sequence[Installed]) -> list[Installed]:
    """The installed packages that nobody asked for and that nothing needs that somebody asked for."""
    index = Index(installed)
    reached = {index.number[package.id] for package in installed if package.requested}
    waiting = list(reached)
    for number in waiting:
        for one in index.packages[number].requires:
            new = [n for n in index.fitting(one) if n not in reached]
            reached.update(new)
            waiting += new
    return [package for package in installed if index.number[package.id] not in reached]


def _stone(package: Candidate | Installed) -> Stone:
    if isinstance(package, Installed):
        return Stone(package.id, package.repository, package.runtime, package.files)
    metadata = package.entry.metadata
    return Stone(package.id, package.repository.name, metadata.runtime, metadata.files)


def _plain(one: Requirement) -> dict[str, str]:
    return {"name": one.name, "category": one.category, "version": one.version}


def _tests(criteria: Criteria) -> list[Callable[[Stone], bool]]:
    matches, categories, labels = (
        [compile_go(pattern) for pattern in patterns]
        for patterns in (criteria.matches, criteria.categories, criteria.label_matches)
    )
    targets = [parse_target(text) for text in criteria.packages]
    offered: list[tuple[Sequence[object], Callable[[Stone], bool]]] = [
        (matches, lambda s: _one_finds(matches, s.id.atom)),
        (criteria.names, lambda s: s.id.name in criteria.names),
        (targets, lambda s: any(_is(target, s) for target in targets)),
        (categories, lambda s: _one_finds(categories, s.id.category)),
        (criteria.labels, lambda s: not _keys(s, "labels").isdisjoint(criteria.labels)),
        (labels, lambda s: any(_one_finds(labels, text) for text in _labels(s))),
        (criteria.annotations, lambda s: not _keys(s, "annotations").isdisjoint(criteria.annotations)),
    ]
    return [test for given, test in offered if given]


def _one_finds(patterns: Iterable[re.Pattern[str]], text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)


def _keys(stone: Stone, key: str) -> set[str]:
    found = stone.runtime.get(key)
    return set(found) if isinstance(found, Mapping) else set()


def _labels(stone: Stone) -> list[str]:
    found = stone.runtime.get("labels")
    return [text for key, value in found.items() for text in (key, f"{key}={value}")] if found else []


def _is(target: Target, stone: Stone) -> bool:
    for one in stone.provides:
        if one.name == target.name and target.category in (None, one.category):
            return True
    if target.category not in (None, stone.id.category) or target.repository not in ("", stone.repository):
        return False
    if stone.id.name == target.literal:
        return True
    return stone.id.name == target.name and target.selector.admits(Version.parse(stone.id.version))
