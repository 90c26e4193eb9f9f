# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of spec trees for stages: which are meant, what they need at run time, and their nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.plan.images import Images, seed_of
from farm.plan.job import Made, Pack, Unpack
from farm.plan.make import make_plan
from farm.plan.node import Node
from farm.plan.platform import Platforms
from farm.plan.recipe import NodeSet, Options
from farm.spec.load import load
from farm.spec.model import Package, PackageId, Tree
from farm.spec.problem import FarmError, Problem
from farm.spec.settings import Settings, read_settings
from farm.spec.solver import Index, solve
from farm.spec.targets import find_targets
from farm.stage.model import PackageSource, Stage, Wanted

_DEFAULT_SHELL = ("/bin/sh", "-c")


@dataclasses.dataclass(frozen=True, slots=True)
class Installed:
    """A package of a stage: the node that packs it, that of its layer, and what runs after it came."""

    package: Package
    pack: str
    layer: str
    finalizer: tuple[tuple[str, ...], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedPackages:
    """``installed`` in the order of installation: what is required comes first. ``checks`` are pack nodes."""

    installed: tuple[Installed, ...] = ()
    checks: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class TreePackages:
    """Reads each tree once.

    ``cache`` is where parsed trees are kept. ``platforms`` says, for settings and a platform, how packages are made
    for it (default: natively).
    """

    def __init__(
        self,
        cache: Path | None = None,
        *,
        plain_is_docker: bool = False,
        platforms: Callable[[Settings, str], Platforms] | None = None,
    ) -> None:
        self._cache = cache
        self._plain_is_docker = plain_is_docker
        self._platforms = platforms
        self._trees: dict[PackageSource, tuple[Settings, Tree, Index[Package]]] = {}

    def plan(self, stage: Stage, roots: Mapping[str, tuple[Made, ...]], nodes: NodeSet) -> PlannedPackages:
        """Adds the nodes of the stage's packages. ``roots`` are the layers of what specs call ``image``, by name."""
        if not stage.packages and not stage.check_packages:
            return PlannedPackages()
        settings, tree, index = self._read(stage.source)
        wanted, problems = _found(tree, stage.packages)
        checks, more = _found(tree, stage.check_packages)
        problems += more
        ordered: Sequence[Package] = ()
        try:
            ordered = solve(index, wanted, asker=f"stage {stage.name}").packages if wanted else ()
        except FarmError as failure:
            problems += [dataclasses.replace(p, place=p.place or stage.packages[0].place) for p in failure.problems]
        options = self._options(settings, stage, roots)
        plan = make_plan(tree, [*(p.id for p in ordered), *checks], options, nodes)
        problems += plan.problems
        if plan.unplanned or problems:
            return PlannedPackages(problems=tuple(problems))
        packs = _packs(plan.targets, nodes)
        installed = tuple(_installed(stage, package, packs[str(package.id)], nodes) for package in ordered)
        return PlannedPackages(installed, tuple(packs[str(id)] for id in checks))

    def tree(self, source: PackageSource) -> Tree:
        """The packages of a source, read once."""
        return self._read(source)[1]

    def _read(self, source: PackageSource) -> tuple[Settings, Tree, Index[Package]]:
        if source not in self._trees:
            given: dict[str, Any] = {"trees": list(source.trees), "values": list(source.values) or None}
            settings = read_settings(given)
            tree = load(settings.trees, settings.values, cache=self._cache)
            self._trees[source] = (settings, tree, Index(tree.packages.values()))
        return self._trees[source]

    def _options(self, settings: Settings, stage: Stage, roots: Mapping[str, tuple[Made, ...]]) -> Options:
        seeds = {name: seed_of(seed) for name, seed in settings.seeds.items()}
        images = Images(seeds, settings.images, plain_is_docker=self._plain_is_docker, roots=roots)
        platforms = self._platforms(settings, stage.platform) if self._platforms else Platforms()
        return Options(stage.platform, settings.network, images=images, platforms=platforms)


def _found(tree: Tree, wanted: Sequence[Wanted]) -> tuple[list[PackageId], list[Problem]]:
    """The packages that are meant; for each that is not there a problem at its place in the stage file."""
    found: dict[PackageId, None] = {}
    problems: list[Problem] = []
    for one in wanted:
        try:
            found[find_targets(tree, [one.target])[0]] = None
        except FarmError as failure:
            problems += [dataclasses.replace(p, place=one.place) for p in failure.problems]
    return list(found), problems


def _packs(targets: Sequence[str], nodes: NodeSet) -> dict[str, str]:
    """The node that packs each target, by package."""
    return {str(nodes.by_id[name].package): name for name in targets}


def _installed(stage: Stage, package: Package, pack: str, nodes: NodeSet) -> Installed:
    pack = _without_subsets(stage, package, pack, nodes)
    base = pack.removesuffix(":package")
    layer = nodes.add(Node(f"{base}:unpacked", Unpack(Made(pack, "package")), str(package.id)))
    return Installed(package, pack, layer, tuple(_finalizer(package)))


def _without_subsets(stage: Stage, package: Package, pack: str, nodes: NodeSet) -> str:
    """The pack node without the files of subsets that the stage does not have: packed again, not built again."""
    rules = [rule for name, listed in _rules(stage, package).items() if name not in stage.subsets for rule in listed]
    action = nodes.by_id[pack].action
    if not rules or not isinstance(action, Pack) or action.rule == "empty":
        return pack
    smaller = dataclasses.replace(action, excludes=(*action.excludes, *rules))
    base = pack.removesuffix(":package")
    return nodes.add(Node(f"{base}+{','.join(sorted(stage.subsets))}:package", smaller, str(package.id)))


def _rules(stage: Stage, package: Package) -> dict[str, tuple[str, ...]]:
    """Subset → rules: the package's own annotations, then the stage's definitions over them."""
    annotated = package.annotations.get("subsets")
    listed = annotated.get("rules") if isinstance(annotated, dict) else None
    rules = {str(k): tuple(map(str, v or ())) for k, v in listed.items()} if isinstance(listed, dict) else {}
    return rules | {one.name: one.rules for one in stage.subset_definitions}


def _finalizer(package: Package) -> Iterator[tuple[str, ...]]:
    """The commands of the package's ``install`` finalizer, with their interpreter."""
    finalizer = package.finalizer or {}
    shell = tuple(finalizer.get("shell") or _DEFAULT_SHELL)
    for command in finalizer.get("install") or ():
        yield (*shell, str(command))
