# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person wants to know of a run, kept up to date from its events."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from farm.engine.events import (
    Event,
    NodeBlocked,
    NodeFinished,
    NodeRetried,
    NodeStarted,
    NodeWaiting,
    RunEstimated,
    RunFinished,
    RunStarted,
)

GOOD = ("ok", "cached")


@dataclasses.dataclass(slots=True)
class Running:
    """A node that is being made. Times in seconds since 1970; ``expected`` is a duration."""

    node: str
    since: float
    expected: float
    log: Path


class Board:
    """The state of a run, from the events so far."""

    def __init__(self) -> None:
        self.total = 0
        self.counts: dict[str, int] = {}
        self.running: dict[str, Running] = {}
        self.waiting: set[str] = set()
        self.started = 0.0
        self.expected = 0.0
        self.finished = False

    @property
    def done(self) -> int:
        """How many nodes have come to an end."""
        return sum(self.counts.values())

    def tell(self, event: Event) -> None:
        """Takes one event in."""
        match event:
            case RunStarted():
                self.total, self.started = event.nodes, event.at
            case RunEstimated():
                self.expected = event.expected
            case NodeStarted():
                self.waiting.discard(event.node)
                self.running[event.node] = Running(event.node, event.at, event.expected, event.log)
            case NodeWaiting():
                self.running.pop(event.node, None)
                self.waiting.add(event.node)
            case NodeRetried():
                self.running.pop(event.node, None)
            case NodeFinished():
                self._ended(event.node, event.status)
            case NodeBlocked():
                self._ended(event.node, "blocked")
            case RunFinished():
                self.finished = True

    def _ended(self, node: str, status: str) -> None:
        self.running.pop(node, None)
        self.waiting.discard(node)
        self.counts[status] = self.counts.get(status, 0) + 1

    def left(self, now: float) -> float:
        """Seconds that the run may still take, from history; 0 when nothing is known."""
        return max(0.0, self.started + self.expected - now) if self.expected else 0.0
