# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages get which version, and what has to be built. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from farm.spec.autobump import revdeps_wanted
from farm.spec.bump import bump_version
from farm.spec.model import Package, PackageId, Requirement, Tree
from farm.spec.problem import FarmError
from farm.spec.selector import Selector
from farm.spec.specdigest import spec_digest
from farm.spec.version import Version

Policy = Literal["label", "none", "direct", "all"]
"""Whose reverse dependencies get the next build: those of packages with the label, nobody's, everybody's."""
Reason = Literal["upstream", "asked", "spec", "published", "below"]
"""Why a package moves: a new version upstream; one that the caller named; its spec changed; the wagon has a later
build of it; something that it is built upon moved."""


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """One package's step from a version to the next. ``because`` names what moved below it."""

    old: PackageId
    new: PackageId
    reason: Reason
    because: str = ""

    def __str__(self) -> str:
        return f"{self.old.atom}: {self.old.version} -> {self.new.version}"


Base = Mapping[PackageId, str | None]
"""What the wagon's last revision has: package → the digest of its spec (`spec_digest`); None: it tells none."""


def changed(tree: Tree, base: Base) -> list[Move]:
    """Packages whose spec is another than when the wagon's package of the same version was built."""
    known = {(id.atom, _main(id.version)): [] for id in base}  # type: dict[tuple[str, str], list[PackageId]]
    for id in base:
        known[id.atom, _main(id.version)].append(id)
    taken = {*base, *tree.packages}
    found = []
    for id, package in sorted(tree.packages.items()):
        published = base.get(id)
        if published is not None and published != spec_digest(package):
            found.append(Move(id, next_build(id, taken), "spec"))
        elif id not in base and _is_behind(id, known.get((id.atom, _main(id.version)), [])):
            found.append(Move(id, next_build(id, taken), "published"))
    return found


def below(tree: Tree, moved: Mapping[PackageId, Reason], policy: Policy, settled: Collection[PackageId]) -> list[Move]:
    """The next builds of what is built upon packages that moved. ``moved``: as they are in ``tree`` now.

    Packages in ``settled`` are new to the wagon already and stay as they are.
    """
    if policy == "none":
        return []
    upon = dependents(tree)
    taken = set(tree.packages)
    found: dict[PackageId, Move] = {}
    for root in sorted(moved):
        if policy == "label" and not revdeps_wanted(tree.packages[root]):
            continue
        for id in sorted(_reach(root, upon, deep=policy != "direct")):
            if id not in settled and id not in moved and id not in found:
                found[id] = Move(id, next_build(id, taken), "below", root.atom)
    return list(found.values())


def next_build(id: PackageId, taken: Collection[PackageId]) -> PackageId:
    """The next build of a package that nobody has."""
    while True:
        id = dataclasses.replace(id, version=bump_version(id.version))
        if id not in taken:
            return id


def dependents(tree: Tree) -> dict[PackageId, set[PackageId]]:
    """For each package those that are built upon it, or copy files of it, directly."""
    by_atom: dict[str, list[Package]] = {}
    for package in tree.packages.values():
        provided = (*package.provides, *(package.build.provides if package.build else ()))
        for atom in {package.id.atom, *(item.atom for item in provided)}:
            by_atom.setdefault(atom, []).append(package)
    upon: dict[PackageId, set[PackageId]] = {}
    for id, package in tree.packages.items():
        copied = [copy.package for copy in package.build.copy if copy.package] if package.build else []
        for requirement in (*package.build_requires, *copied):
            for other in _admitted(requirement, by_atom.get(requirement.atom, [])):
                upon.setdefault(other, set()).add(id)
    return upon


def needs(tree: Tree, start: Iterable[PackageId]) -> set[PackageId]:
    """All packages that these are built upon, and they themselves."""
    down: dict[PackageId, set[PackageId]] = {}
    for id, others in dependents(tree).items():
        for other in others:
            down.setdefault(other, set()).add(id)
    found = set(start)
    for id in list(found):
        found |= _reach(id, down, deep=True)
    return found


def targets(tree: Tree, base: Base, *, new: bool) -> list[PackageId]:
    """What has to be built for the wagon to have all of the tree.

    A package of which the wagon has no version at all counts with ``new`` and a build.yaml only.
    """
    published = {id.atom for id in base}
    absent = (id for id in sorted(tree.packages) if id not in base)
    return [id for id in absent if id.atom in published or (new and tree.packages[id].build is not None)]


def _reach(start: PackageId, edges: Mapping[PackageId, set[PackageId]], *, deep: bool) -> set[PackageId]:
    found: set[PackageId] = set()
    waiting = [start]
    while waiting:
        for other in edges.get(waiting.pop(), ()):
            if other not in found and other != start:
                found.add(other)
                waiting += [other] if deep else []
    return found


def _admitted(requirement: Requirement, packages: Iterable[Package]) -> list[PackageId]:
    """The packages that a requirement may mean: of its name and a version that it admits, or that provide it."""
    try:
        admits = Selector.parse(requirement.version).admits
    except FarmError:
        return []
    return [p.id for p in packages if p.id.atom != requirement.atom or admits(Version.parse(p.id.version))]


def _is_behind(id: PackageId, published: Iterable[PackageId]) -> bool:
    """Whether the wagon has a later build of the very same version."""
    return any(Version.parse(other.version) > Version.parse(id.version) for other in published)


def _main(version: str) -> str:
    return version.rpartition("+")[0] or version
