# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs small jobs for tests."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

from farm.plan.job import Job, Limits
from farm.runner.protocol import Outcome, Runner
from farm.store.store import Store

_LIMITS = Limits(timeout=120)


@dataclasses.dataclass
class Bench:
    """Runs jobs on one runner. ``base`` is the digest of a busybox layer, put below all jobs."""

    runner: Runner
    store: Store
    base: str
    logs: Path
    _numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    def run(
        self,
        *steps: str,
        layers: tuple[str, ...] = (),
        limits: Limits = _LIMITS,
        cancel: threading.Event | None = None,
        **fields: object,
    ) -> tuple[Outcome, bytes]:
        """The outcome of a job with these steps, and its log."""
        job = Job(layers=(self.base, *layers), steps=steps, limits=limits, **fields)  # type: ignore[arg-type]
        return self.run_job(job, cancel)

    def run_job(self, job: Job, cancel: threading.Event | None = None) -> tuple[Outcome, bytes]:
        """The outcome of a job as it is, and its log."""
        log = self.logs / f"{next(self._numbers)}-{threading.get_ident()}.log"
        outcome = self.runner.run(job, self.store, log, cancel or threading.Event())
        return outcome, log.read_bytes()

    def output(self, *steps: str, layers: tuple[str, ...] = (), **fields: object) -> bytes:
        """The log of a job that has to end well."""
        outcome, log = self.run(*steps, layers=layers, **fields)  # type: ignore[arg-type]
        assert outcome.status == "ok", (outcome, log)
        return log

    def layer(self, *steps: str, layers: tuple[str, ...] = (), **fields: object) -> str:
        """The layer of a job that has to end well."""
        outcome, log = self.run(*steps, layers=layers, **fields)  # type: ignore[arg-type]
        assert outcome.layer, (outcome, log)
        return outcome.layer
