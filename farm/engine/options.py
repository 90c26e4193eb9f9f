# SPDX-License-Identifier: GPL-3.0-or-later
"""How a plan is to be run."""

from __future__ import annotations

import dataclasses

from farm.engine import host
from farm.engine.making import Makers
from farm.engine.moves import Capacity, Task
from farm.plan.job import Fetch, Job
from farm.plan.node import Node


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """``jobs`` at a time (0: as many as cores); ``cores`` and ``memory`` (bytes) that all jobs together may
    declare (None: the host's); ``attempts`` for what fails for infrastructure's sake; ``first_delay`` in seconds
    before the second attempt; ``argv`` for the journal (empty: this process's); ``makers`` of
    what products make themselves.
    """

    jobs: int = 0
    keep_going: bool = False
    cores: int | None = None
    memory: int | None = None
    fetches: int = 4
    attempts: int = 3
    first_delay: float = 1.0
    argv: tuple[str, ...] = ()
    makers: Makers = dataclasses.field(default_factory=dict)

    def capacity(self) -> Capacity:
        """The options with the host's figures put in. More jobs than cores are taken at their word."""
        jobs = self.jobs if self.jobs > 0 else host.cores()
        cores = self.cores or max(jobs, host.cores())
        return Capacity(jobs, cores, self.memory or host.memory(), self.fetches)


def task_of(node: Node, seconds: float) -> Task:
    """A node as the scheduler sees it."""
    if isinstance(node.action, Job):
        limits = node.action.limits
        return Task(node.id, node.needs, seconds, limits.cores, limits.memory or 0)
    return Task(node.id, node.needs, seconds, fetch=isinstance(node.action, Fetch))
