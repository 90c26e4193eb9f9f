# SPDX-License-Identifier: GPL-3.0-or-later
"""The scheduler's decisions: a pure state machine. Happenings and the time in, instructions out; no I/O.

A node goes ``waiting → looking → (done | ready → running → done)``; from ``running`` it can go ``away``, when
another farm turns out to be making the same, and come back to ``ready``. Rules:

- A node is looked up in the cache as soon as its needs are made; nothing starts while a look is unanswered.
- The ready node with the longest remaining path starts first. The first that does not fit has a reservation
  (`farm.engine.reserve`): those behind it start only if they are expected not to delay it. One that does, because it
  takes longer, lets no further ones start past: it is waited for.
- A node that asks for more than there is gets all there is.
- Fetches take no core; they have their own limit.
- While the host is under pressure a job starts only when none runs.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from farm.engine.moves import (
    Away,
    Back,
    Begin,
    Cancelled,
    Capacity,
    Drop,
    Ended,
    Happening,
    Instruction,
    Look,
    Looked,
    Pressed,
    Resized,
    Start,
    Task,
)
from farm.engine.reserve import Charge, Reservation, expected_end, fits, less, reserve
from farm.runner.protocol import Status

FAILURES: frozenset[Status] = frozenset({"failed", "infra", "timeout", "silent"})
State = Literal["waiting", "looking", "ready", "running", "away", "done"]


def remaining_paths(tasks: Sequence[Task]) -> dict[str, float]:
    """Seconds from the start of each task to the end of the longest chain that begins with it."""
    paths: dict[str, float] = {}
    above: dict[str, float] = {}
    for task in reversed(tasks):
        path = paths[task.id] = above.get(task.id, 0.0) + max(task.seconds, 0.0)
        for need in task.needs:
            if path > above.get(need, 0.0):
                above[need] = path
    return paths


class Core:
    """Decides what is looked up, started and dropped. ``tasks`` come in an order with needs first."""

    def __init__(self, tasks: Sequence[Task], capacity: Capacity, *, keep_going: bool = False) -> None:
        self.tasks: Mapping[str, Task] = {task.id: task for task in tasks}
        self.capacity = capacity
        self.keep_going = keep_going
        self.paths = remaining_paths(tasks)
        self.state: dict[str, State] = dict.fromkeys(self.tasks, "waiting")
        self._open = {task.id: len(task.needs) for task in tasks}
        self._above: dict[str, list[str]] = {task.id: [] for task in tasks}
        self._rank: dict[str, tuple[float, int]] = {}
        for index, task in enumerate(tasks):
            self._rank[task.id] = (-self.paths[task.id], index)
            for need in task.needs:
                self._above[need].append(task.id)
        self._jobs: list[str] = []
        self._fetches: list[str] = []
        self._charged: dict[str, Charge] = {}
        self._began: dict[str, float] = {}
        self._past: set[str] = set()
        """What started past another, because it was expected to end in time."""
        self._now = 0.0
        self._fetching: set[str] = set()
        self._looking: set[str] = set()
        self._left = len(self.tasks)
        self._stopping = self._pressed = False

    @property
    def over(self) -> bool:
        """Whether every node came to its end."""
        return self._left == 0

    @property
    def used(self) -> Capacity:
        """What is in use: jobs, cores, memory, fetches."""
        cores = sum(charge[1] for charge in self._charged.values())
        memory = sum(charge[2] for charge in self._charged.values())
        return Capacity(len(self._charged), cores, memory, len(self._fetching))

    def handle(self, happening: Happening, now: float = 0.0) -> list[Instruction]:
        """What has to be done because of ``happening``, at a time in seconds of any clock that never goes back."""
        self._now = now
        orders: list[Instruction] = []
        match happening:
            case Begin():
                roots = [name for name, count in self._open.items() if count == 0]
                self._look([name for name in roots if self.state[name] == "waiting"], orders)
            case Looked(found, missing):
                self._queue([name for name in missing if self.state[name] == "looking"], orders)
                self._look(self._finish(found), orders)
            case Ended(node, status):
                self._ended(node, status, orders)
            case Away(node):
                self._release(node)
                self.state[node] = "away"
                if self._stopping:
                    self._drop(node, "", orders)
            case Back(node):
                self._queue([node] if self.state[node] == "away" else [], orders)
            case Pressed(pressed):
                self._pressed = pressed
            case Resized(capacity):
                self.capacity = capacity
            case Cancelled():
                self._stop(orders)
        return orders + self._starts()

    def _look(self, names: Sequence[str], orders: list[Instruction]) -> None:
        if names:
            self.state.update(dict.fromkeys(names, "looking"))
            self._looking.update(names)
            orders.append(Look(tuple(names)))

    def _queue(self, names: Iterable[str], orders: list[Instruction]) -> None:
        for name in names:
            self._looking.discard(name)
            if self._stopping:
                self._drop(name, "", orders)
            else:
                self.state[name] = "ready"
                bisect.insort(self._line(name), name, key=self._rank.__getitem__)

    def _line(self, name: str) -> list[str]:
        return self._fetches if self.tasks[name].fetch else self._jobs

    def _finish(self, names: Iterable[str]) -> list[str]:
        """Ends nodes that are made; the nodes whose needs are now all made."""
        reached: list[str] = []
        for name in names:
            self._leave(name)
            for above in self._above[name]:
                self._open[above] -= 1
                if self._open[above] == 0 and self.state[above] == "waiting":
                    reached.append(above)
        return reached

    def _leave(self, name: str) -> None:
        if self.state[name] == "done":
            raise ValueError(f"node {name} ended twice")
        if self.state[name] == "ready":
            self._line(name).remove(name)
        self._looking.discard(name)
        self._release(name)
        self.state[name] = "done"
        self._left -= 1

    def _release(self, name: str) -> None:
        self._charged.pop(name, None)
        self._began.pop(name, None)
        self._fetching.discard(name)
        self._past.discard(name)

    def _ended(self, name: str, status: Status, orders: list[Instruction]) -> None:
        if status in ("ok", "cached"):
            self._look(self._finish([name]), orders)
            return
        self._leave(name)
        if status in FAILURES:
            self._block(name, orders)
        if status not in FAILURES or not self.keep_going:
            self._stop(orders)

    def _block(self, failed: str, orders: list[Instruction]) -> None:
        pending = [failed]
        while pending:
            for above in self._above[pending.pop()]:
                if self.state[above] == "waiting":
                    self._drop(above, failed, orders)
                    pending.append(above)

    def _drop(self, name: str, by: str, orders: list[Instruction]) -> None:
        self._leave(name)
        orders.append(Drop(name, "blocked" if by else "skipped", by))

    def _stop(self, orders: list[Instruction]) -> None:
        self._stopping = True
        for name, state in self.state.items():
            if state in ("waiting", "ready", "away"):
                self._drop(name, "", orders)

    def _starts(self) -> list[Instruction]:
        if self._looking:
            return []
        return [Start(name) for name in (*self._start_fetches(), *self._start_jobs())]

    def _start_fetches(self) -> list[str]:
        free = max(0, self.capacity.fetches - len(self._fetching))
        started, self._fetches[:] = self._fetches[:free], self._fetches[free:]
        for name in started:
            self._fetching.add(name)
            self.state[name] = "running"
        return started

    def _start_jobs(self) -> list[str]:
        used = self.used
        free: Charge = (
            self.capacity.jobs - used.jobs,
            self.capacity.cores - used.cores,
            self.capacity.memory - used.memory,
        )
        started: list[str] = []
        kept: Reservation | None = None
        for name in self._jobs:
            full = free[0] <= 0 or free[1] <= 0
            if full or (self._pressed and self._charged):
                break
            want, end = self._demand(name), self._now + self.tasks[name].seconds
            if kept is None and not fits(want, free):
                kept = reserve(want, free, self._ends(), self._now)
            elif fits(want, free) and (kept is None or kept.admits(end, want)):
                self._charge(name, want, end, kept)
                free = less(free, want)
                started.append(name)
        for name in started:
            self._jobs.remove(name)
            self.state[name] = "running"
        return started

    def _charge(self, name: str, want: Charge, end: float, kept: Reservation | None) -> None:
        self._charged[name] = want
        self._began[name] = self._now
        if kept:
            if end <= kept.at:
                self._past.add(name)
            kept.take(end, want)

    def _ends(self) -> list[tuple[float, Charge]]:
        """When what runs is expected to end, and what is free then. What started past another has no more time."""
        ends = []
        for name, charge in self._charged.items():
            began, seconds = self._began[name], self.tasks[name].seconds
            end = began + seconds if name in self._past else expected_end(began, seconds, self._now)
            ends.append((end, charge))
        return ends

    def _demand(self, name: str) -> Charge:
        task = self.tasks[name]
        return 1, min(max(task.cores, 1), self.capacity.cores), min(task.memory, self.capacity.memory)
