# SPDX-License-Identifier: GPL-3.0-or-later
"""From packages to nodes. Pure: reads nothing but its arguments."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence

from farm.plan.images import Images
from farm.plan.node import Node, Plan
from farm.plan.platform import Choice
from farm.plan.recipe import NodeSet, Options, Recipe, Stack, tarball_name
from farm.spec.model import Build, Package, PackageId, Requirement, Tree
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


_Wanted = tuple[PackageId, Choice]
_NO_BUILD = Build()


class _Planner:
    """Plans each package once for each different choice of what it stands on."""

    def __init__(self, tree: Tree, options: Options, nodes: NodeSet | None) -> None:
        self.tree = tree
        self.options = options
        self.index = BuildIndex(tree)
        self.nodes = NodeSet() if nodes is None else nodes
        self.stacks: dict[tuple[PackageId, Choice, tuple[str, ...]], Stack] = {}
        self.failures: dict[_Wanted, FarmError] = {}
        self.targets: dict[_Wanted, Stack] = {}
        self.accelerators: dict[Requirement, PackageId] = {}
        self.under_way: list[_Wanted] = []
        self.kept_workdirs = _copied_from_workdir(tree)
        self.problems: Mapping[str, tuple[Problem, ...]] = _errors_by_package(tree)

    def target(self, package: PackageId) -> str:
        """Plans a package of the tree as it is on its own; the id of the node that packs it."""
        return self.alone(package, self._choice(package)).pack

    def _choice(self, package: PackageId) -> Choice:
        build = self.tree.packages[package].build or _NO_BUILD
        return self.options.platforms.choose(self.options.platform, build)

    def alone(self, package: PackageId, choice: Choice) -> Stack:
        """The stack of a package resolved on its own, for targets and for ``copy`` and ``retrieve``."""
        wanted = (package, choice)
        if wanted in self.failures:
            raise self.failures[wanted]
        if wanted not in self.targets:
            self._enter(wanted)
            try:
                self.targets[wanted] = self._resolve(wanted)
            except FarmError as failure:
                self.failures[wanted] = failure
                raise
            finally:
                self.under_way.pop()
        return self.targets[wanted]

    def _enter(self, wanted: _Wanted) -> None:
        if wanted in self.under_way:
            path = " -> ".join(str(p) for p, _ in [*self.under_way[self.under_way.index(wanted) :], wanted])
            package = wanted[0]
            place = self.tree.packages[package].place
            hint = "one of them must not copy or retrieve from the other"
            raise FarmError(Problem("cycle", f"packages need each other: {path}", place, hint, package=str(package)))
        self.under_way.append(wanted)

    def _resolve(self, wanted: _Wanted) -> Stack:
        if self.tree.packages[wanted[0]].virtual:
            return self._one(wanted, ())
        return self._stack(wanted, self.index.exactly(wanted[0]).edges)

    def _stack(self, start: _Wanted, edges: Mapping[PackageId, tuple[PackageId, ...]]) -> Stack:
        """Stacks of ``start`` and of all below it, dependencies first; no recursion, trees may be deep."""
        made: dict[_Wanted, Stack] = {}
        pending = [start]
        while pending:
            wanted = pending[-1]
            below = self._below(wanted, edges.get(wanted[0], ()))
            missing = [dep for dep in below if dep not in made]
            if missing and wanted not in made:
                pending += missing
                continue
            pending.pop()
            if wanted not in made:
                made[wanted] = self._one(wanted, tuple(made[dep] for dep in below))
        return made[start]

    def _below(self, wanted: _Wanted, packages: tuple[PackageId, ...]) -> tuple[_Wanted, ...]:
        """What a package stands on, and how each of that is made for it."""
        build = self.tree.packages[wanted[0]].build or _NO_BUILD
        finished = build.requires_final_images
        return tuple((package, self._chosen(package, wanted[1], finished=finished)) for package in packages)

    def _chosen(self, package: PackageId, above: Choice, *, finished: bool) -> Choice:
        build = self.tree.packages[package].build or _NO_BUILD
        return above.below(build, finished=finished, platforms=self.options.platforms)

    def _one(self, wanted: _Wanted, below: tuple[Stack, ...]) -> Stack:
        package, choice = wanted
        key = (package, choice, tuple(stack.id for stack in below))
        if key not in self.stacks:
            recipe = Recipe(self, self.tree.packages[package], below, choice)
            self.stacks[key] = recipe.stack()
        return self.stacks[key]

    def copied(self, requirement: Requirement, above: Choice) -> Stack:
        """The stack of the package that ``copy`` takes files from."""
        package = self.index.resolve([requirement]).roots[0]
        return self.alone(package, self._chosen(package, above, finished=True))

    def accelerating(self, requirement: Requirement) -> Stack:
        """The stack of the package that is put on top of emulated roots. It is for the platform of cross toolchains.

        FarmError ``missing-accelerator`` when no tree has it.
        """
        if requirement not in self.accelerators:  # every emulated package asks for it
            self.accelerators[requirement] = self._accelerator(requirement)
        build = self.options.platforms.build
        return self.alone(self.accelerators[requirement], Choice(build, build, "native", "a tool of emulated builds"))

    def _accelerator(self, requirement: Requirement) -> PackageId:
        wanted = (requirement.category, requirement.name)
        if wanted not in ((package.category, package.name) for package in self.tree.packages):
            message = f"`accelerators` of farm.yaml names {requirement}, which is in no tree"
            hint = "name a package of the trees; --no-accelerator does without"
            raise FarmError(Problem("missing-accelerator", message, hint=hint))
        return self.index.resolve([requirement]).roots[0]

    def retrieved(self, pattern: str, compression: str, above: Choice) -> list[tuple[str, Stack]]:
        """Names and stacks of the packages whose tarball's name matches a glob, sorted by name."""
        names = {tarball_name(package.fingerprint, compression): package for package in self.tree.packages}
        found = ((name, names[name]) for name in sorted(fnmatch.filter(names, pattern)))
        return [(name, self.alone(one, self._chosen(one, above, finished=True))) for name, one in found]


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
