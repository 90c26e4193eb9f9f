# SPDX-License-Identifier: GPL-3.0-or-later
"""What every runner is: a way to run one job in isolation and to say how it ended."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from farm.plan.job import Digest, Job

if TYPE_CHECKING:
    from farm.store.store import Store

Status = Literal["ok", "cached", "failed", "infra", "timeout", "silent", "cancelled", "blocked", "skipped"]


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Where a job stopped: which command (index into ``Job.commands``, -1: before the first), and why.

    ``root`` keeps the job's changed files (the overlay's upper directory) and lasts until
    the next failure of the same job or a garbage collection: `farm shell` enters it.
    """

    command: int
    exit_code: int | None
    reason: str
    root: Path | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. ``layer`` is set when ``status`` is ``ok``. Times in seconds, memory in bytes."""

    status: Status
    layer: Digest | None = None
    failure: Failure | None = None
    wall: float = 0.0
    cpu: float = 0.0
    memory_peak: int = 0


class Runner(Protocol):
    """Where a job runs. `run` may be called from several threads at once."""

    name: str

    def check(self) -> None:
        """Raises FarmError when this host cannot run jobs this way, saying what is missing."""

    def run(self, job: Job, store: Store, log: Path, cancel: threading.Event) -> Outcome:
        """Runs a job whose references are all digests that ``store`` has.

        Appends all output to the file ``log`` (bytes, complete). When ``cancel`` is set, stops the job at
        once with all its processes. Whatever happens, nothing mounted and no process is left behind.
        A job's own fault is an Outcome; FarmError is raised only for infrastructure (``transient``) faults.
        """

    def close(self) -> None:
        """Stops whatever the runner keeps for itself (helper processes)."""
