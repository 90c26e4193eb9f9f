# SPDX-License-Identifier: GPL-3.0-or-later
"""From packages to nodes. Pure: reads nothing but its arguments."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence

from farm.plan.images import Images
from farm.plan.node import Node, Plan
from farm.plan.recipe import SUFFIX, NodeSet, Options, Recipe, Stack
from farm.spec.model import Package, PackageId, Requirement, Tree
from farm.spec.problem import FarmError, Problem
from farm.spec.solver import Index, Resolution, solve

__all__ = ["BuildIndex", "Images", "Options", "make_plan"]


@dataclasses.dataclass(frozen=True, slots=True)
class BuildView:
    """A package as the build-time solver sees it: build.yaml's lists where they are given."""

    package: Package

    @property
    def id(self) -> PackageId:
        """Who it is."""
        return self.package.id

    @property
    def requires(self) -> tuple[Requirement, ...]:
        """What its build stands on."""
        return self.package.build_requires

    @property
    def provides(self) -> tuple[Requirement, ...]:
        """What it can stand in for."""
        build = self.package.build
        return (build.provides if build else ()) or self.package.provides

    @property
    def conflicts(self) -> tuple[Requirement, ...]:
        """What it cannot be built together with."""
        build = self.package.build
        return (build.conflicts if build else ()) or self.package.conflicts


class BuildIndex:
    """Resolves build-time requirements in one tree."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._index = Index([BuildView(package) for package in tree.packages.values()])

    def resolve(self, roots: Sequence[Requirement]) -> Resolution[BuildView]:
        """What is chosen for ``roots`` and all below them. FarmError with an explanation."""
        return solve(self._index, roots)

    def exactly(self, package: PackageId) -> Resolution[BuildView]:
        """The resolution of one package of the tree."""
        return solve(self._index, [package])


def make_plan(tree: Tree, targets: Sequence[PackageId], options: Options, nodes: NodeSet | None = None) -> Plan:
    """The plan that makes the packages ``targets``.

    A target that cannot be planned is reported in ``Plan.problems``; the others are planned all the same.
    The order of the nodes and their ids depend on nothing but the arguments. ``nodes``: what a larger graph has
    already; it gets this plan's nodes as well, and one that is in both is made once.
    """
    planner = _Planner(tree, options, nodes)
    wanted: list[str] = []
    problems: list[Problem] = []
    unplanned: list[str] = []
    for target in targets:
        try:
            wanted.append(planner.target(target))
        except FarmError as failure:
            unplanned.append(str(target))
            problems += [dataclasses.replace(p, package=p.package or str(target)) for p in failure.problems]
    return Plan(
        needed(planner.nodes.by_id, wanted),
        tuple(dict.fromkeys(wanted)),
        tuple(dict.fromkeys(problems)),
        tuple(unplanned),
    )


class _Planner:
    """Plans each package once for each different choice of what it stands on."""

    def __init__(self, tree: Tree, options: Options, nodes: NodeSet | None) -> None:
        self.tree = tree
        self.options = options
        self.index = BuildIndex(tree)
        self.nodes = NodeSet() if nodes is None else nodes
        self.stacks: dict[tuple[PackageId, tuple[str, ...]], Stack] = {}
        self.failures: dict[PackageId, FarmError] = {}
        self.targets: dict[PackageId, Stack] = {}
        self.under_way: list[PackageId] = []
        self.kept_workdirs = _copied_from_workdir(tree)
        self.problems: Mapping[str, tuple[Problem, ...]] = _errors_by_package(tree)

    def target(self, package: PackageId) -> str:
        """Plans a package of the tree as it is on its own; the id of the node that packs it."""
        return self.alone(package).pack

    def alone(self, package: PackageId) -> Stack:
        """The stack of a package resolved on its own, for targets and for ``copy`` and ``retrieve``."""
        if package in self.failures:
            raise self.failures[package]
        if package not in self.targets:
            self._enter(package)
            try:
                self.targets[package] = self._resolve(package)
            except FarmError as failure:
                self.failures[package] = failure
                raise
            finally:
                self.under_way.pop()
        return self.targets[package]

    def _enter(self, package: PackageId) -> None:
        if package in self.under_way:
            path = " -> ".join(str(p) for p in [*self.under_way[self.under_way.index(package) :], package])
            place = self.tree.packages[package].place
            hint = "one of them must not copy or retrieve from the other"
            raise FarmError(Problem("cycle", f"packages need each other: {path}", place, hint, package=str(package)))
        self.under_way.append(package)

    def _resolve(self, package: PackageId) -> Stack:
        if self.tree.packages[package].virtual:
            return self._one(package, ())
        return self._stack(package, self.index.exactly(package).edges)

    def _stack(self, start: PackageId, edges: Mapping[PackageId, tuple[PackageId, ...]]) -> Stack:
        """Stacks of ``start`` and of all below it, dependencies first; no recursion, trees may be deep."""
        made: dict[PackageId, Stack] = {}
        pending = [start]
        while pending:
            package = pending[-1]
            below = edges.get(package, ())
            missing = [dep for dep in below if dep not in made]
            if missing and package not in made:
                pending += missing
                continue
            pending.pop()
            if package not in made:
                made[package] = self._one(package, tuple(made[dep] for dep in below))
        return made[start]

    def _one(self, package: PackageId, below: tuple[Stack, ...]) -> Stack:
        key = (package, tuple(stack.id for stack in below))
        if key not in self.stacks:
            recipe = Recipe(self, self.tree.packages[package], below)
            self.stacks[key] = recipe.stack()
        return self.stacks[key]

    def copied(self, requirement: Requirement) -> Stack:
        """The stack of the package that ``copy`` takes files from."""
        resolution = self.index.resolve([requirement])
        return self.alone(resolution.roots[0])

    def retrieved(self, pattern: str, compression: str) -> list[tuple[str, Stack]]:
        """Names and stacks of the packages whose tarball's name matches a glob, sorted by name."""
        names = {f"{package.fingerprint}.package.tar{SUFFIX[compression]}": package for package in self.tree.packages}
        return [(name, self.alone(names[name])) for name in sorted(fnmatch.filter(names, pattern))]


def _errors_by_package(tree: Tree) -> dict[str, tuple[Problem, ...]]:
    """What makes packages of the tree unusable."""
    errors: dict[str, tuple[Problem, ...]] = {}
    for problem in tree.problems:
        if problem.severity == "error" and problem.package:
            errors[problem.package] = (*errors.get(problem.package, ()), problem)
    return errors


def _copied_from_workdir(tree: Tree) -> frozenset[tuple[str, str]]:
    """Categories and names of packages whose working directory others copy from: it stays in their layer."""
    return frozenset(
        (copy.package.category, copy.package.name)
        for package in tree.packages.values()
        if package.build
        for copy in package.build.copy
        if copy.package and copy.source.startswith("/luetbuild")
    )


def needed(nodes: Mapping[str, Node], wanted: Sequence[str]) -> dict[str, Node]:
    """Only what the wanted nodes need, each node after its needs."""
    done: dict[str, Node] = {}
    pending = [*reversed(wanted)]
    while pending:
        name = pending[-1]
        missing = [need for need in nodes[name].needs if need not in done] if name not in done else []
        if missing:
            pending += reversed(missing)
            continue
        pending.pop()
        done.setdefault(name, nodes[name])
    return done
