# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a plan: carries out what the core decides, in worker threads, and tells everybody what happens.

The core, the journal and the listeners belong to the thread that calls `run_plan`; workers talk to it through
one queue. So events are in order, and nothing in the core needs a lock.
"""

from __future__ import annotations

import functools
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from farm.engine import host
from farm.engine.core import Core
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
from farm.engine.execute import Began, Elsewhere, Made, Maker, Message, Retrying, lock_name
from farm.engine.history import kind_of
from farm.engine.journal import Journal
from farm.engine.look import Answer, Looker, Ticket, source_size
from farm.engine.moves import (
    Away,
    Back,
    Begin,
    Cancelled,
    Drop,
    Ended,
    Happening,
    Instruction,
    Look,
    Looked,
    Pressed,
    Start,
)
from farm.engine.options import Options, task_of
from farm.engine.summary import Summary, Tally
from farm.plan.node import Plan
from farm.runner.protocol import Failure, Runner, Status
from farm.spec.problem import FarmError

if TYPE_CHECKING:
    from farm.store.store import Store

__all__ = ["Listener", "Options", "run_plan"]

_TICK = 0.1
_PRESSURE_EVERY = 1.0
_AWAY_EVERY = 0.25
_log = logging.getLogger(__name__)
Listener = Callable[[Event], None]


def run_plan(
    plan: Plan,
    store: Store,
    runner: Runner,
    journal: Journal,
    options: Options | None = None,
    listeners: Sequence[Listener] = (),
    cancel: threading.Event | None = None,
) -> Summary:
    """Makes all nodes of ``plan``. When ``cancel`` gets set, nothing new starts and running jobs are stopped.

    A node's failure is in the summary, never raised. However it is left, its threads ended.
    """
    run = _Run(plan, store, runner, journal, options or Options(), listeners, cancel or threading.Event())
    return run.go()


class _Run:
    """One run of a plan."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        runner: Runner,
        journal: Journal,
        options: Options,
        listeners: Sequence[Listener],
        cancel: threading.Event,
    ) -> None:
        self.plan, self.store, self.journal, self.cancel = plan, store, journal, cancel
        self.runner_name = runner.name
        self.began = time.monotonic()
        self.run = journal.begin(options.argv)
        self.tally = Tally(plan.targets)
        self.listeners: list[Listener] = [self.tally.take, journal.write, *listeners]
        self.looker = Looker(plan, store, options.makers)
        self.tickets: dict[str, Ticket] = {}
        self.expected = journal.estimates(plan.nodes.values(), functools.partial(source_size, plan, store))
        self.capacity = options.capacity()
        tasks = [task_of(node, self.expected[node.id]) for node in plan.nodes.values()]
        self.core = Core(tasks, self.capacity, keep_going=options.keep_going)
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        limits = (options.attempts, options.first_delay, options.makers)
        self.maker = Maker(store, runner, self.run, cancel, self.messages.put, self.looker.find, *limits)
        self.threads: dict[str, threading.Thread] = {}
        self.away: dict[str, Ticket] = {}
        self.next_pressure = self.next_away = 0.0
        self.told_cancel = self.told_estimate = False

    def go(self) -> Summary:
        """Runs to the end."""
        outcome = "error"
        try:
            self.store.sweep()
            targets = (len(self.plan.nodes), self.plan.targets, self.runner_name, self.capacity.jobs)
            self._tell(RunStarted(self.run, time.time(), *targets))
            self._loop()
            outcome = self._outcome()
        except BaseException:
            self.cancel.set()
            raise
        finally:
            for thread in self.threads.values():
                thread.join()
            self._finish(outcome)
        return self.tally.summary(self.run, outcome, time.monotonic() - self.began)

    def _outcome(self) -> str:
        counts = self.tally.counts
        if self.told_cancel or counts["cancelled"]:
            return "cancelled"
        return "ok" if counts["ok"] + counts["cached"] == len(self.plan.nodes) else "failed"

    def _finish(self, outcome: str) -> None:
        wall = time.monotonic() - self.began
        self._tell(RunFinished(self.run, time.time(), outcome, dict(self.tally.counts), wall, self.tally.cpu))
        self._flush()

    def _handle(self, happening: Happening) -> list[Instruction]:
        return self.core.handle(happening, time.monotonic())

    def _loop(self) -> None:
        self._watch()
        self._obey(self._handle(Begin()))
        self._flush()
        while not self.core.over:
            self._watch()
            for message in self._heard():
                self._take(message)
            self._flush()

    def _heard(self) -> Iterator[Message]:
        """What workers said since the last time; waits a moment for the first."""
        try:
            yield self.messages.get(timeout=_TICK)
            while True:
                yield self.messages.get_nowait()
        except queue.Empty:
            return

    def _watch(self) -> None:
        """Looks at what nobody sends a message about: the cancel event, the host, other farms."""
        now = time.monotonic()
        if self.cancel.is_set() and not self.told_cancel:
            self.told_cancel = True
            self._obey(self._handle(Cancelled()))
        if now >= self.next_pressure:
            self.next_pressure = now + _PRESSURE_EVERY
            self._obey(self._handle(Pressed(host.under_pressure())))
        if self.away and now >= self.next_away:
            self.next_away = now + _AWAY_EVERY
            self._look_at_others()

    def _look_at_others(self) -> None:
        found = self.looker.find(list(self.away.values()))
        for name, ticket in list(self.away.items()):
            if self.core.state[name] != "away":
                del self.away[name]
            elif ticket.key in found:
                del self.away[name]
                self._take(Made(ticket, "cached", found[ticket.key]))
            elif self._free(ticket):
                del self.away[name]
                self._obey(self._handle(Back(name)))

    def _free(self, ticket: Ticket) -> bool:
        with self.store.lock(lock_name(ticket), wait=False) as held:
            return bool(held)

    def _obey(self, instructions: Sequence[Instruction]) -> None:
        pending = deque(instructions)
        while pending:
            match pending.popleft():
                case Look(names):
                    pending.extend(self._look(names))
                case Start(name):
                    self._start(name)
                case Drop(name, "blocked", by):
                    self._tell(NodeBlocked(self.run, time.time(), *self._who(name), by))
                case Drop(name, status):
                    self._tell(NodeFinished(self.run, time.time(), *self._who(name), status))

    def _look(self, names: Sequence[str]) -> list[Instruction]:
        orders: list[Instruction] = []
        found: list[str] = []
        missing: list[str] = []
        for answer in self.looker.look(names):
            if answer.ticket and answer.result:
                found.append(answer.node.id)
                self._record_end(Made(answer.ticket, "cached", answer.result))
            elif answer.ticket:
                missing.append(answer.node.id)
                self.tickets[answer.node.id] = answer.ticket
            else:
                orders += self._unknowable(answer)
        return orders + self._handle(Looked(tuple(found), tuple(missing)))

    def _unknowable(self, answer: Answer) -> list[Instruction]:
        failed = isinstance(answer.failure, FarmError) and not answer.failure.transient
        status: Status = "failed" if failed else "infra"
        reason = str(answer.failure) if isinstance(answer.failure, FarmError) else repr(answer.failure)
        failure = Failure(-1, None, reason)
        who = self._who(answer.node.id)
        self._tell(NodeFinished(self.run, time.time(), *who, status, failure=failure))
        return self._handle(Ended(answer.node.id, status))

    def _start(self, name: str) -> None:
        self._estimate()
        ticket = self.tickets[name]
        thread = threading.Thread(target=self.maker.make, args=(ticket,), name=f"make {name}")
        self.threads[name] = thread
        thread.start()

    def _estimate(self) -> None:
        """Tells, before the first start, how much is left and how long it may take at best."""
        if not self.told_estimate:
            self.told_estimate = True
            left = [name for name, state in self.core.state.items() if state != "done"]
            work = sum(self.expected[name] for name in left) / self.capacity.jobs
            expected = max([work, *(self.core.paths[name] for name in left)])
            self._tell(RunEstimated(self.run, time.time(), self.tally.counts["cached"], len(left), expected))

    def _take(self, message: Message) -> None:
        name = message.made.ticket.node.id if isinstance(message, Retrying) else message.ticket.node.id
        head = (self.run, time.time(), *self._who(name))
        match message:
            case Began(ticket, attempt, log):
                self._tell(NodeStarted(*head, ticket.key, attempt, log, self.expected[name]))
            case Retrying(made, delay):
                failure, log = made.failure or Failure(-1, None, made.status), made.log or self.store.root
                self._tell(NodeRetried(*head, made.ticket.key, made.attempt, failure, delay, made.wall, log))
            case Elsewhere(ticket):
                self._join(name)
                self.away[name] = ticket
                self._tell(NodeWaiting(*head, ticket.key))
                self._obey(self._handle(Away(name)))
            case Made():
                self._join(name)
                self._record_end(message)
                self._obey(self._handle(Ended(name, message.status)))

    def _record_end(self, made: Made) -> None:
        name = made.ticket.node.id
        if made.result:
            self.looker.results[name] = made.result
        event = NodeFinished(
            self.run,
            time.time(),
            *self._who(name),
            status=made.status,
            key=made.ticket.key,
            attempt=made.attempt,
            result=made.result,
            failure=made.failure,
            wall=made.wall,
            cpu=made.cpu,
            memory_peak=made.memory_peak,
            log=made.log,
        )
        self._tell(event)

    def _join(self, name: str) -> None:
        thread = self.threads.pop(name, None)
        if thread:
            thread.join()

    def _who(self, name: str) -> tuple[str, str | None, str]:
        node = self.plan.nodes[name]
        return name, node.package, kind_of(node)

    def _tell(self, event: Event) -> None:
        for listener in list(self.listeners):
            try:
                listener(event)
            except OSError as failure:  # a closed pipe, a lost terminal: it is told no more
                _log.error("the run goes on without a screen: %s", failure)
                self.listeners.remove(listener)
            except Exception:  # noqa: BLE001  a screen that breaks must not end the build
                _log.exception("a listener failed on %s", type(event).__name__)

    def _flush(self) -> None:
        try:
            self.journal.flush()
        except Exception as failure:  # noqa: BLE001  what was made is safe in the store
            _log.error("the journal cannot be written; the run goes on: %s", failure)
