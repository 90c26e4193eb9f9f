# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks, checks and finalizers as jobs: commands in a root, or beside it on the host."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Sequence

from farm.plan.job import Bind as JobBind
from farm.plan.job import Job, Limits, Made
from farm.plan.node import Node
from farm.plan.recipe import PRESET
from farm.spec.assignment import assignment
from farm.stage.model import Bind, Check, Hook, Stage

LUET_VERSION = "0.40.1"
"""What finalizers are told in ``LUET_VERSION``, as by the farm's client."""

Environment = Iterable[tuple[str, str]]


def hook_job(stage: Stage, hook: Hook, layers: tuple[Made, ...], seeds: tuple[str, ...]) -> Node:
    """The node of a hook in the root: its layer is what the hook changed."""
    binds = (*stage.binds, *hook.binds)
    job = _job(stage, layers, steps(hook.entrypoint, hook.commands), hook.network, hook.timeout, binds)
    return _node(f"{stage.name}:hook:{hook.name}", stage, job, seeds, hook.environment)


def host_hook_job(
    stage: Stage, hook: Hook, layers: tuple[Made, ...], rootfs: str, once: str, more: Environment = ()
) -> Node:
    """The node of a hook on the host. The root is mounted at ``rootfs``; ``once`` makes its key one of a kind."""
    job = _job(stage, layers, steps(hook.entrypoint, hook.commands), True, hook.timeout, ())
    job = dataclasses.replace(job, once=once, on_host=rootfs)
    own = (("FARM_ROOTFS", rootfs), ("FARM_STAGE", stage.name), *more)
    return _node(f"{stage.name}:host:{hook.name}", stage, job, (), (*hook.environment, *own))


def check_job(stage: Stage, check: Check, layers: tuple[Made, ...], seeds: tuple[str, ...]) -> Node:
    """The node of a check in the finished root."""
    job = _job(stage, layers, steps(check.entrypoint, check.commands), check.network, check.timeout, stage.binds)
    return _node(f"{stage.name}:check:{check.name}", stage, job, seeds, check.environment)


def finalizer_job(
    stage: Stage, commands: Sequence[Sequence[str]], layers: tuple[Made, ...], seeds: tuple[str, ...]
) -> Node:
    """The node of what packages run after they were installed."""
    job = _job(stage, layers, tuple(shlex.join(command) for command in commands), False, None, ())
    told = (("LUET_VERSION", LUET_VERSION), ("ANISE_SUBSETS", " ".join(stage.subsets)))
    return _node(f"{stage.name}:finalizers", stage, job, seeds, told)


def steps(entrypoint: Sequence[str], commands: Sequence[str]) -> tuple[str, ...]:
    """Commands as ``/bin/sh -c`` takes them."""
    return tuple(shlex.join([*entrypoint, command]) if entrypoint else command for command in commands)


def _job(
    stage: Stage,
    layers: tuple[Made, ...],
    commands: tuple[str, ...],
    network: bool,
    timeout: float | None,
    binds: Sequence[Bind],
) -> Job:
    return Job(
        layers,
        steps=commands,
        network=network,
        platform=stage.platform,
        workdir="/",
        keep_workdir=True,
        fresh_workdir=False,
        epoch=stage.epoch,
        limits=Limits(timeout=timeout),
        binds=tuple(JobBind(one.target, one.cache, host=one.host, read_only=one.read_only) for one in binds),
    )


def _node(name: str, stage: Stage, job: Job, seeds: tuple[str, ...], environment: Environment) -> Node:
    """Above the farm's own variables come the seed's, the stage's and then those of the commands."""
    pairs = {"SOURCE_DATE_EPOCH": str(stage.epoch), **dict(stage.environment), **dict(environment)}
    lines = tuple(assignment(key, value) for key, value in pairs.items())
    return Node(name, job, None, lines, seeds, PRESET)
