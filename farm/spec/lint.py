# SPDX-License-Identifier: GPL-3.0-or-later
"""What only shows when all packages of the trees are looked at together.

Missing requirements, cycles, packages that are defined twice, and packages that others are built on but that
cannot be built. What is wrong with a single package was found when it was loaded (`Tree.problems`).
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence

from farm.spec.cycles import cycles
from farm.spec.index import Index
from farm.spec.locate import Locator
from farm.spec.model import Package, Requirement, Tree
from farm.spec.problem import Problem, Severity

GUESSES = 20
"""How many missing names get a "did you mean", which is slow in a large tree."""

Edges = list[list[int]]


def lint(tree: Tree, index: Index[Package] | None = None) -> list[Problem]:
    """Problems beyond those of loading. ``index`` saves the making of one, if it has build-time provides too."""
    return sorted(_Lint(tree, index or Index(tree.packages.values(), provides=all_provides)).problems(), key=_order)


def findings(tree: Tree) -> list[Problem]:
    """All there is to say on a tree: of loading and of linting, what many packages share only once."""
    shared: dict[Problem, list[Problem]] = defaultdict(list)
    for problem in (*tree.problems, *lint(tree)):
        shared[dataclasses.replace(problem, package=None)].append(problem)
    return sorted((many[0] if len(many) == 1 else one for one, many in shared.items()), key=_order)


def all_provides(package: Package) -> Sequence[Requirement]:
    """What a package stands in for, at build time (build.yaml's own, where it has any) or at run time."""
    return (*package.provides, *package.build.provides) if package.build else package.provides


class _Lint:
    def __init__(self, tree: Tree, index: Index[Package]) -> None:
        self.tree = tree
        self.index = index
        self.locator = Locator(tree)
        self.broken = {p.package for p in tree.problems if p.severity == "error"}
        self.guesses = GUESSES

    def problems(self) -> Iterator[Problem]:
        yield from self._duplicates()
        for package in self.index.packages:
            yield from self._missing(package)
            yield from self._unbuildable(package)
        building = [self._firsts(self._built_on(package)) for package in self.index.packages]
        yield from self._cycles(building, "error", "is built on itself")
        running = [self._firsts(package.requires) for package in self.index.packages]
        yield from self._cycles(running, "warning", "requires itself at run time")

    def _duplicates(self) -> Iterator[Problem]:
        for found in self.tree.duplicates:
            if found.same_tree:
                hint = f"remove one of them; {found.place} is used"
                yield Problem("duplicate-package", f"{found.id} is already defined", found.other, hint)
            else:
                hint = f"{found.place} is used; name the trees in another order to use the other"
                message = f"{found.id} is defined in two trees"
                yield Problem("duplicate-package", message, found.other, hint, "warning", str(found.id))

    def _missing(self, package: Package) -> Iterator[Problem]:
        """A missing requirement stops the build if it is needed for it; others may come from other repositories."""
        inherited = package.build is not None and package.build_requires is package.requires
        for i, requirement in enumerate(package.requires):
            if not self.index.fitting(requirement):
                yield self._absent(package, requirement, ("requires", i), building=False, error=inherited)
        if package.build:
            used = not package.build.image
            for i, requirement in enumerate(package.build.requires):
                if not self.index.fitting(requirement):
                    yield self._absent(package, requirement, ("requires", i), building=True, error=used)
            for i, copy in enumerate(package.build.copy):
                if copy.package and not self.index.fitting(copy.package):
                    yield self._absent(package, copy.package, ("copy", i, "package"), building=True, error=True)

    def _absent(
        self, package: Package, wanted: Requirement, path: tuple[str | int, ...], *, building: bool, error: bool
    ) -> Problem:
        place = (self.locator.build if building else self.locator.definition)(package, path)
        message = f"{package.id} requires {wanted}, which is not in the trees"
        severity: Severity = "error" if error else "warning"
        return Problem("missing-requirement", message, place, self._hint(wanted), severity, str(package.id))

    def _hint(self, wanted: Requirement) -> str:
        named = self.index.named(wanted.category, wanted.name)
        if named:
            versions = ", ".join(str(self.index.ids[n]) for n in named[:5])
            return f"there is {versions}"
        self.guesses -= 1
        similar = self.index.similar(wanted.category, wanted.name) if self.guesses >= 0 else ()
        return f"did you mean {' or '.join(similar)}?" if similar else "add the tree that has it with --tree"

    def _unbuildable(self, package: Package) -> Iterator[Problem]:
        if package.build is None and str(package.id) not in self.broken:
            hint = "add a build.yaml (an empty one makes a package that only stands for its requirements)"
            message = f"{package.id} has no build.yaml and cannot be built"
            yield Problem("missing-build", message, package.place, hint, "warning", str(package.id))
        for i, requirement in enumerate(package.build_requires):
            for n in self.index.fitting(requirement)[:1]:
                needed = self.index.packages[n]
                if needed.build is None and str(needed.id) not in self.broken:
                    own = package.build is not None and bool(package.build.requires)
                    place = (self.locator.build if own else self.locator.definition)(package, ("requires", i))
                    message = f"{package.id} is built on {needed.id}, which has no build.yaml"
                    hint = f"add {needed.folder}/build.yaml"
                    yield Problem("missing-build", message, place, hint, "error", str(package.id))

    def _built_on(self, package: Package) -> Iterator[Requirement]:
        yield from package.build_requires
        if package.build:
            yield from (copy.package for copy in package.build.copy if copy.package)

    def _firsts(self, requirements: Sequence[Requirement] | Iterator[Requirement]) -> list[int]:
        fitting = self.index.fitting
        return [found[0] for requirement in requirements if (found := fitting(requirement))]

    def _cycles(self, edges: Edges, severity: Severity, what: str) -> Iterator[Problem]:
        for cycle in cycles(edges):
            package = self.index.packages[cycle[0]]
            path = " -> ".join(str(self.index.ids[n]) for n in (*cycle, cycle[0]))
            hint = "take one of these requirements away"
            message = f"{package.id} {what}: {path}"
            told = severity == "warning" and package.build is not None and package.build_requires is package.requires
            if not told:
                yield Problem("cycle", message, package.place, hint, severity, str(package.id))


def _order(problem: Problem) -> tuple[str, int, int, str, str]:
    place = problem.place
    where = (place.file, place.line, place.column) if place else ("", 0, 0)
    return (*where, problem.code, problem.message)
