# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages a call of ``anise-build build`` is about."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from farm.plan.make import BuildIndex
from farm.spec.model import PackageId, Tree
from farm.spec.problem import FarmError
from farm.spec.targets import find_targets


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """``names`` are targets as a user writes them. ``full``: all, but in `targets` only what nothing is built on."""

    names: tuple[str, ...] = ()
    all: bool = False
    full: bool = False
    revdeps: bool = False

    def packages(self, tree: Tree) -> list[PackageId]:
        """What is to be made. FarmError ``unknown-target`` and others of `find_targets`."""
        if self.all or self.full:
            return sorted(tree.packages)
        named = find_targets(tree, self.names)
        return sorted({*named, *Needs(tree).of_whom(named)}) if self.revdeps else named

    def targets(self, tree: Tree) -> list[PackageId]:
        """What a listing of dependencies begins with."""
        return Needs(tree).leaves() if self.full and not self.all else self.packages(tree)


class Needs:
    """What packages of a tree are built on, ``copy`` and the resolution of requirements included."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.index = BuildIndex(tree)

    def below(self, package: PackageId) -> list[PackageId]:
        """All that a package is built on, dependencies first. FarmError when that cannot be resolved."""
        resolution = self.index.exactly(package)
        return [view.id for view in resolution.packages if view.id != package]

    def of_whom(self, packages: Iterable[PackageId]) -> set[PackageId]:
        """All packages that are built, directly or not, on any of these."""
        wanted = set(packages)
        users: dict[PackageId, set[PackageId]] = {}
        for package in self.tree.packages:
            for below in self._directly(package):
                users.setdefault(below, set()).add(package)
        found: set[PackageId] = set()
        waiting = list(wanted)
        while waiting:
            new = users.get(waiting.pop(), set()) - found
            found |= new
            waiting += new
        return found - wanted

    def leaves(self) -> list[PackageId]:
        """Packages that no other package is built on."""
        used = {below for package in self.tree.packages for below in self._directly(package)}
        return sorted(self.tree.packages.keys() - used)

    def _directly(self, package: PackageId) -> Sequence[PackageId]:
        """What a package requires and copies from; nothing when that cannot be resolved."""
        try:
            edges = self.index.exactly(package).edges[package]
            build = self.tree.packages[package].build
            copied = [copy.package for copy in build.copy if copy.package] if build else []
            return [*edges, *(self.index.resolve([one]).roots[0] for one in copied)]
        except FarmError:
            return []
