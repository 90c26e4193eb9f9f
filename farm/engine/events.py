# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything the engine has to say, as one stream of typed events.

``run`` is the run's id, ``at`` the time in seconds since 1970; durations are in seconds, sizes in bytes.
The order in a run: `RunStarted`, then for every node its events, then `RunFinished`. A node gets exactly one
`NodeFinished` or `NodeBlocked`; where its ``attempt`` is not 0, a `NodeStarted` of that attempt came before.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from farm.plan.node import Result
from farm.runner.protocol import Failure, Status


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """What all events have in common."""

    run: str
    at: float

    def to_json(self) -> dict[str, Any]:
        """Plain data: ``event`` is the kind in kebab-case (``node-started``); what is unset is left out."""
        fields = {f.name: plain(getattr(self, f.name)) for f in dataclasses.fields(self)}
        kind = re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()
        return {"event": kind, **{name: value for name, value in fields.items() if value is not None}}


def plain(value: Any) -> Any:
    """An event's field as JSON has it."""
    if isinstance(value, Result):
        return value.to_json()
    if isinstance(value, Failure):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


@dataclasses.dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run begins: how many nodes there are, which were asked for, where jobs run, how many at a time."""

    nodes: int
    targets: tuple[str, ...]
    runner: str
    jobs: int


@dataclasses.dataclass(frozen=True, slots=True)
class RunEstimated(Event):
    """Before the first start: how many nodes the cache has, how many are left, how long they may take."""

    cached: int
    left: int
    expected: float


@dataclasses.dataclass(frozen=True, slots=True)
class NodeEvent(Event):
    """What all events of one node have in common. ``kind``: the action's, ``job`` or ``fetch`` or another."""

    node: str
    package: str | None
    kind: str


@dataclasses.dataclass(frozen=True, slots=True)
class NodeStarted(NodeEvent):
    """An attempt to make the node begins; ``log`` grows while it runs, ``expected`` is from history."""

    key: str
    attempt: int
    log: Path
    expected: float


@dataclasses.dataclass(frozen=True, slots=True)
class NodeWaiting(NodeEvent):
    """Another farm on the same store is making the same; its result will be taken."""

    key: str


@dataclasses.dataclass(frozen=True, slots=True)
class NodeRetried(NodeEvent):
    """An attempt failed for a reason that may pass; the next begins after ``delay``."""

    key: str
    attempt: int
    failure: Failure
    delay: float
    wall: float
    log: Path


@dataclasses.dataclass(frozen=True, slots=True)
class NodeFinished(NodeEvent):
    """The node came to its end. ``attempt`` is 0 when nothing was run for it here."""

    status: Status
    key: str = ""
    attempt: int = 0
    result: Result | None = None
    failure: Failure | None = None
    wall: float = 0.0
    cpu: float = 0.0
    memory_peak: int = 0
    log: Path | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NodeBlocked(NodeEvent):
    """The node cannot be made, because node ``by`` failed."""

    by: str


@dataclasses.dataclass(frozen=True, slots=True)
class RunFinished(Event):
    """The run is over. ``outcome``: ``ok``, ``failed``, ``cancelled`` or ``error`` (the engine's own fault)."""

    outcome: str
    counts: dict[str, int]
    wall: float
    cpu: float
