# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run came to, gathered from its events."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from farm.engine.events import Event, NodeBlocked, NodeFinished, plain
from farm.engine.logs import tail
from farm.plan.node import Result
from farm.runner.protocol import Failure, Status


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """A node that failed: why, the path of its whole log, and the last lines of it."""

    node: str
    package: str | None
    kind: str
    key: str
    status: Status
    failure: Failure | None
    log: Path | None
    tail: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Summary:
    """``outcome``: ``ok``, ``failed`` or ``cancelled``. ``made``: results of the targets, by node id.

    ``counts`` is by status; ``blocked`` names for each blocked node the failed one. ``wall`` and ``cpu`` in
    seconds (cpu: of what was run here); ``cached`` is the part (0 to 1) of what there is now that was there.
    """

    run: str
    outcome: str
    counts: Mapping[str, int]
    made: Mapping[str, Result]
    failures: tuple[Failed, ...]
    blocked: Mapping[str, str]
    wall: float
    cpu: float

    @property
    def cached(self) -> float:
        """The part of the nodes made so far that came from the cache."""
        cached, ok = self.counts.get("cached", 0), self.counts.get("ok", 0)
        return cached / (cached + ok) if cached + ok else 0.0


class Tally:
    """Adds up events."""

    def __init__(self, targets: Iterable[str]) -> None:
        self._targets = frozenset(targets)
        self.counts: Counter[str] = Counter()
        self.made: dict[str, Result] = {}
        self.failures: list[Failed] = []
        self.blocked: dict[str, str] = {}
        self.cpu = 0.0

    def take(self, event: Event) -> None:
        """Counts one event."""
        if isinstance(event, NodeBlocked):
            self.counts["blocked"] += 1
            self.blocked[event.node] = event.by
        elif isinstance(event, NodeFinished):
            self._finished(event)

    def summary(self, run: str, outcome: str, wall: float) -> Summary:
        """The sum."""
        failures = tuple(self.failures)
        return Summary(run, outcome, dict(self.counts), self.made, failures, self.blocked, wall, self.cpu)

    def _finished(self, event: NodeFinished) -> None:
        self.counts[event.status] += 1
        self.cpu += event.cpu
        if event.result and event.node in self._targets:
            self.made[event.node] = event.result
        if event.status not in ("ok", "cached", "skipped", "cancelled"):
            of_node = (event.node, event.package, event.kind, event.key)
            self.failures.append(Failed(*of_node, event.status, event.failure, event.log, tail(event.log)))


def summary_to_json(summary: Summary) -> dict[str, object]:
    """Plain data for ``--json``."""
    names = [field.name for field in dataclasses.fields(Failed)]
    failures = [{name: plain(getattr(failed, name)) for name in names} for failed in summary.failures]
    made = {node: result.to_json() for node, result in summary.made.items()}
    numbers = {"wall": summary.wall, "cpu": summary.cpu, "cached": summary.cached}
    known = {"run": summary.run, "outcome": summary.outcome, "counts": dict(summary.counts)}
    return {**known, "made": made, "failures": failures, "blocked": dict(summary.blocked), **numbers}
