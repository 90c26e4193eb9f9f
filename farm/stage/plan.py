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
from farm.plan.node import Plan
from farm.plan.recipe import NodeSet
from farm.spec.problem import Problem
from farm.stage.model import Output, Stage


@dataclasses.dataclass(frozen=True, slots=True)
class Allowed:
    """What the command line allows."""

    host_hooks: bool = False
    host_binds: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedStage:
    """Which nodes make what of a stage.

    ``root`` are the layers of the finished root, lowest first. ``outputs`` maps each output to the nodes of its files
    by name (``content``: the file itself, ``contents``: its list, ``image``: what describes an OCI image).
    ``packages`` are the nodes of the installed packages by ``category/name-version``. ``checks`` have to be made.
    """

    stage: Stage
    root: tuple[Made, ...]
    outputs: tuple[tuple[Output, Mapping[str, str]], ...]
    packages: Mapping[str, str]
    checks: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class StagePlan:
    """The graph of some stages, needs first, and what is what in it."""

    plan: Plan
    stages: tuple[PlannedStage, ...]
    problems: tuple[Problem, ...] = ()


class Packages(Protocol):
    """Plans packages of spec trees for a stage."""

    def plan(self, stage: Stage, base: tuple[Made, ...], nodes: NodeSet) -> tuple[Mapping[str, str], Sequence[str]]:
        """Adds nodes; gives the pack nodes by package in the order of installation, and those of check packages."""


def plan_stages(stages: Sequence[Stage], packages: Packages, allowed: Allowed, *, run: str) -> StagePlan:
    """The plan of ``stages``, each after the stage that is its seed. FarmError with all that is wrong.

    ``run`` is a text that no other run has: what runs on the host has it in its key, so that it is never cached.
    """
    raise NotImplementedError
