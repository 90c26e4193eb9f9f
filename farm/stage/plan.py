# SPDX-License-Identifier: GPL-3.0-or-later
"""From stages to nodes of the one graph. Pure but for what `Packages` reads.

A root is a tuple of layers, lowest first. Each step (seed, packages, hook) adds layers; an output is a node that
reads them all. So a step whose result did not change changes nothing above it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

from farm.plan.job import Made
from farm.plan.make import needed
from farm.plan.node import Node, Plan
from farm.plan.recipe import NodeSet
from farm.spec.problem import FarmError, Problem
from farm.stage.jobs import check_job, finalizer_job, hook_job, host_hook_job
from farm.stage.model import Bind, Hook, Output, Point, Release, Stage, StageSeed
from farm.stage.outputs import output_nodes
from farm.stage.packages import PlannedPackages
from farm.stage.seeds import seed_node

_NO_ROOT: tuple[Point, ...] = ("before-seed", "after-outputs")


@dataclasses.dataclass(frozen=True, slots=True)
class Allowed:
    """What the command line allows. ``rootfs`` is an empty folder of the host where host hooks find the root."""

    host_hooks: bool = False
    host_binds: bool = False
    rootfs: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedStage:
    """Which nodes make what of a stage.

    ``root`` are the layers of the finished root, lowest first; ``seed`` those of its seed, and ``seeds`` the nodes
    whose environment lies below that of hooks. ``outputs`` maps each output to the nodes of its files by name
    (``content``: the file itself, ``contents``: its list, ``image``: what describes an OCI image). ``packages`` are the
    pack nodes of the installed packages by ``category/name-version``. ``checks`` have to be made.
    """

    stage: Stage
    root: tuple[Made, ...]
    seed: tuple[Made, ...]
    seeds: tuple[str, ...]
    outputs: tuple[tuple[Output, Mapping[str, str]], ...]
    packages: Mapping[str, str]
    checks: tuple[str, ...]

    @property
    def targets(self) -> tuple[str, ...]:
        """All nodes that the stage has to have made."""
        made = [node for _, files in self.outputs for node in files.values()]
        return tuple(dict.fromkeys([*(layer.node for layer in self.root), *made, *self.checks]))


@dataclasses.dataclass(frozen=True, slots=True)
class StagePlan:
    """The graph of some stages, needs first, and what is what in it."""

    plan: Plan
    stages: tuple[PlannedStage, ...]

    def stage(self, name: str) -> PlannedStage:
        """The planned stage of that name. KeyError."""
        return {one.stage.name: one for one in self.stages}[name]


class Packages(Protocol):
    """Plans packages of spec trees for a stage: `farm.stage.packages.TreePackages`."""

    def plan(self, stage: Stage, roots: Mapping[str, tuple[Made, ...]], nodes: NodeSet) -> PlannedPackages:
        """Adds the nodes of the stage's packages. ``roots`` are the layers of what specs call ``image``, by name."""


def plan_stages(stages: Sequence[Stage], packages: Packages, allowed: Allowed, *, once: str) -> StagePlan:
    """The plan of ``stages``, each after the stage that is its seed. FarmError with all that is wrong.

    ``once`` is a text that no other run has: what runs on the host has it in its key, so that it is never cached.
    """
    planner = _Planner(packages, allowed, once)
    for stage in stages:
        planner.add(stage)
    planner.problems += _same_release(stages)
    if planner.problems:
        raise FarmError(list(dict.fromkeys(planner.problems)))
    targets = tuple(dict.fromkeys(node for one in planner.made.values() for node in one.targets))
    return StagePlan(Plan(needed(planner.nodes.by_id, targets), targets), tuple(planner.made.values()))


def plan_host_hooks(
    stage: Stage, point: Point, allowed: Allowed, *, once: str, environment: Sequence[tuple[str, str]] = ()
) -> Plan | None:
    """The hooks of a point at which there is no root, one after the other. None: there are none."""
    nodes = NodeSet()
    layers: tuple[Made, ...] = ()
    for hook in stage.hooks_at(point):
        name = nodes.add(host_hook_job(stage, hook, layers, allowed.rootfs, once, environment))
        layers = (Made(name, "layer"),)
    return Plan(nodes.by_id, tuple(nodes.by_id)) if layers else None


class _Planner:
    """Stages planned so far, in one set of nodes."""

    def __init__(self, packages: Packages, allowed: Allowed, once: str) -> None:
        self.packages = packages
        self.allowed = allowed
        self.once = once
        self.nodes = NodeSet()
        self.made: dict[str, PlannedStage] = {}
        self.images: dict[str, dict[str, tuple[Made, ...]]] = {}
        self.problems: list[Problem] = []

    def add(self, stage: Stage) -> None:
        """Plans one stage, whose seed was planned before it."""
        self.problems += forbidden(stage, self.allowed)
        seed, seeds = self._seed(stage)
        images = self._images(stage, seed)
        chosen = self.packages.plan(stage, images, self.nodes)
        self.problems += chosen.problems
        root = seed if stage.root == "seed" else ()
        seeds = seeds if stage.root == "seed" else ()
        root = self._hooks(stage, "after-seed", root, seeds)
        root = self._install(stage, chosen, root, seeds)
        for point in ("after-packages", "before-outputs"):
            root = self._hooks(stage, point, root, seeds)
        checks = [self.nodes.add(check_job(stage, check, root, seeds)) for check in stage.checks]
        outputs = tuple((output, output_nodes(stage, output, root, self.nodes)) for output in stage.outputs)
        packed = {str(one.package.id): one.pack for one in chosen.installed}
        self.made[stage.name] = PlannedStage(stage, root, seed, seeds, outputs, packed, (*checks, *chosen.checks))

    def _images(self, stage: Stage, seed: tuple[Made, ...]) -> dict[str, tuple[Made, ...]]:
        """What specs call the roots that they are built in: also the names of the stages that this one begins with."""
        below = self.images.get(stage.seed.stage, {}) if isinstance(stage.seed, StageSeed) else {}
        self.images[stage.name] = {**below, **({stage.image: seed} if stage.image else {})}
        return self.images[stage.name]

    def _seed(self, stage: Stage) -> tuple[tuple[Made, ...], tuple[str, ...]]:
        if isinstance(stage.seed, StageSeed):
            if (below := self.made.get(stage.seed.stage)) is not None:
                return below.root, below.seeds
            known = ", ".join(self.made) or "none"
            hint = f"stages before it: {known}"
            self.problems.append(
                Problem("unknown-stage", f"there is no stage {stage.seed.stage!r}", stage.seed.place, hint)
            )
            return (), ()
        node = seed_node(stage)
        if node is None:
            return (), ()
        name = self.nodes.add(node)
        return (Made(name, "layer"),), (name,)

    def _install(
        self, stage: Stage, chosen: PlannedPackages, root: tuple[Made, ...], seeds: tuple[str, ...]
    ) -> tuple[Made, ...]:
        root = (*root, *(Made(one.layer, "layer") for one in chosen.installed))
        commands = [command for one in chosen.installed for command in one.finalizer]
        if not commands:
            return root
        return (*root, Made(self.nodes.add(finalizer_job(stage, commands, root, seeds)), "layer"))

    def _hooks(self, stage: Stage, point: Point, root: tuple[Made, ...], seeds: tuple[str, ...]) -> tuple[Made, ...]:
        for hook in stage.hooks_at(point):
            root = (*root, Made(self.nodes.add(self._hook(stage, hook, root, seeds)), "layer"))
        return root

    def _hook(self, stage: Stage, hook: Hook, root: tuple[Made, ...], seeds: tuple[str, ...]) -> Node:
        if hook.where == "host":
            return host_hook_job(stage, hook, root, self.allowed.rootfs, self.once)
        return hook_job(stage, hook, root, seeds)


def _same_release(stages: Sequence[Stage]) -> list[Problem]:
    """Stages that would be given out under the same names."""
    first: dict[Release, Stage] = {}
    problems = []
    for stage in stages:
        if any(output.path is None for output in stage.outputs):
            other = first.setdefault(stage.release, stage)
            if other is not stage:
                message = (
                    f"{stage.name} has the same release as {other.name}: {stage.release.folder}/{stage.release.target}"
                )
                problems.append(Problem("same-release", message, stage.place, "give one of them another target"))
    return problems


def forbidden(stage: Stage, allowed: Allowed) -> list[Problem]:
    """What the stage asks for and the command line does not allow, or what cannot be."""
    problems = []
    for hook in stage.hooks:
        if hook.where == "root" and hook.point in _NO_ROOT:
            message = f"hook {hook.name!r} runs in the root, but there is none at {hook.point}"
            problems.append(Problem("no-root", message, hook.place, "write `where: host`, or choose another point"))
        elif hook.where == "host" and not allowed.host_hooks:
            message = f"hook {hook.name!r} wants to run on the host"
            hint = "allow it with --allow-host-hooks, if you trust this file as you trust a script"
            problems.append(Problem("host-hook", message, hook.place, hint))
    for bind in (*stage.binds, *(bind for hook in stage.hooks for bind in hook.binds)):
        problems += _forbidden_bind(bind, allowed)
    return problems


def _forbidden_bind(bind: Bind, allowed: Allowed) -> list[Problem]:
    if not bind.host or allowed.host_binds:
        return []
    hint = "use `cache: NAME` for a folder that the store keeps, or allow it with --allow-host-binds"
    return [Problem("host-bind", f"{bind.target} is to be the host's {bind.host}", bind.place, hint)]
