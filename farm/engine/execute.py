# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one node, in a worker thread, and reports every step as a message."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import sqlite3
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from farm.engine.logs import log_path
from farm.engine.look import Ticket, blob_result
from farm.engine.making import Makers, maker_of
from farm.plan.job import Assemble, Fetch, Job, Pack, Seed, Unpack, Work
from farm.plan.node import Result
from farm.runner.protocol import Failure, Outcome, Runner, Status
from farm.spec.problem import FarmError

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from farm.store.layers import LayerInfo
    from farm.store.store import Store


@dataclasses.dataclass(frozen=True, slots=True)
class Began:
    """An attempt begins."""

    ticket: Ticket
    attempt: int
    log: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """How an attempt ended. ``attempt`` 0: nothing had to be run. ``again``: another attempt may help."""

    ticket: Ticket
    status: Status
    result: Result | None = None
    failure: Failure | None = None
    attempt: int = 0
    log: Path | None = None
    wall: float = 0.0
    cpu: float = 0.0
    memory_peak: int = 0
    again: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Retrying:
    """The attempt failed for a reason that may pass; the next one begins after ``delay`` seconds."""

    made: Made
    delay: float


@dataclasses.dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another farm holds the node's lock; nothing was done."""

    ticket: Ticket


Message = Began | Made | Retrying | Elsewhere


def lock_name(ticket: Ticket) -> str:
    """The name of the store's lock that whoever makes this holds."""
    return f"job-{ticket.key}"


@dataclasses.dataclass(frozen=True, slots=True)
class Maker:
    """What all worker threads of a run share. ``tell`` takes messages from any thread."""

    store: Store
    runner: Runner
    run: str
    cancel: threading.Event
    tell: Callable[[Message], object]
    find: Callable[[list[Ticket]], dict[str, Result]]
    attempts: int = 3
    first_delay: float = 1.0
    makers: Makers = dataclasses.field(default_factory=dict)

    def make(self, ticket: Ticket) -> None:
        """Makes the node. The last message is `Made` or `Elsewhere`, whatever happens."""
        try:
            last = self._with_lock(ticket)
        except Exception as failure:  # noqa: BLE001  nobody would hear of it, and the run would wait forever
            reason = _disk_full(failure) or "".join(traceback.format_exception(failure))
            last = Made(ticket, "infra", failure=Failure(-1, None, reason))
        self.tell(last)

    def _with_lock(self, ticket: Ticket) -> Made | Elsewhere:
        with self.store.lock(lock_name(ticket), wait=False) as held:
            if not held:
                return Elsewhere(ticket)
            known = self.find([ticket]).get(ticket.key)
            if known:
                return Made(ticket, "cached", known)
            return self._attempts(ticket)

    def _attempts(self, ticket: Ticket) -> Made:
        import tenacity

        numbers = iter(range(1, self.attempts + 1))
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda made: made.again),
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=tenacity.wait_exponential(self.first_delay, max=60) + tenacity.wait_random(0, self.first_delay),
            sleep=tenacity.sleep_using_event(self.cancel),
            before_sleep=self._tell_of_retry,
            retry_error_callback=_last_result,
        )
        return retry(lambda: self._attempt(ticket, next(numbers)))

    def _tell_of_retry(self, state: RetryCallState) -> None:
        assert state.outcome and state.next_action
        self.tell(Retrying(state.outcome.result(), state.next_action.sleep))

    def _attempt(self, ticket: Ticket, attempt: int) -> Made:
        if self.cancel.is_set():
            return Made(ticket, "cancelled")
        log = log_path(self.store.root, self.run, ticket.node.id, attempt)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        self.tell(Began(ticket, attempt, log))
        began = time.monotonic()
        made = self._guarded(ticket, log)
        return dataclasses.replace(made, attempt=attempt, log=log, wall=time.monotonic() - began)

    def _guarded(self, ticket: Ticket, log: Path) -> Made:
        try:
            since = self.store.damages()
            made = self._by_kind(ticket, log)
            if made.status == "ok" and made.result and not isinstance(ticket.action, Fetch):
                self.store.record(ticket.key, ticket.document, made.result, since=since)
            return made
        except FarmError as error:
            _append(log, f"{error}\n")
            cancelled = self.cancel.is_set()
            status: Status = "cancelled" if cancelled else "infra" if error.transient else "failed"
            again = error.transient and not cancelled
            return Made(ticket, status, failure=Failure(-1, None, str(error)), again=again)
        except Exception as error:  # noqa: BLE001  a fault of the farm's own must not end the others' work
            full = _disk_full(error)
            _append(log, f"{full}\n" if full else traceback.format_exc())
            return Made(ticket, "infra", failure=Failure(-1, None, full or f"{type(error).__name__}: {error}"))

    def _by_kind(self, ticket: Ticket, log: Path) -> Made:
        action, store = ticket.action, self.store
        match action:
            case Fetch():
                from farm.store.fetch import fetch

                return Made(ticket, "ok", blob_result(store, fetch(action, store, log, self.cancel)))
            case Job():
                outcome = self.runner.run(action, store, log, self.cancel)
                return self._job(ticket, _blamed(outcome, action, log))
            case Pack():
                info = store.pack(action)
                result = Result(package=info.digest, size=info.size, deleted=info.deleted)
                return _done(ticket, result)
            case Assemble():
                return _done(ticket, _of_layer(store.assemble(action)))
            case Unpack():
                package = store.sound_blob(str(action.package))
                return _done(ticket, _of_layer(store.import_layer(package, skip=())))
            case Seed():
                from farm.runner.seed import make_seed

                return _done(ticket, make_seed(action, store, log, self.cancel))
            case Work():
                made = maker_of(action, self.makers).make(action, store, log, self.cancel)
                return _done(ticket, made)

    def _job(self, ticket: Ticket, outcome: Outcome) -> Made:
        cpu, peak = outcome.cpu, outcome.memory_peak
        if outcome.status == "ok":
            known = self.store.records.object("layer", outcome.layer) if outcome.layer else None
            size, _, deleted, _ = known or (0, 0, (), "")
            result = Result(outcome.layer, size=size, deleted=deleted, wall=outcome.wall, cpu=cpu, memory_peak=peak)
            return _done(ticket, result)
        if outcome.failure and outcome.failure.root:
            self.store.remember(ticket.key, ticket.document)
        again = outcome.status == "infra" and not self.cancel.is_set()
        ended = Made(ticket, outcome.status, failure=outcome.failure, again=again)
        return dataclasses.replace(ended, cpu=cpu, memory_peak=peak)


def _done(ticket: Ticket, result: Result) -> Made:
    return Made(ticket, "ok", result, cpu=result.cpu, memory_peak=result.memory_peak)


def _blamed(outcome: Outcome, job: Job, log: Path) -> Outcome:
    """The outcome; of a build that an emulator spoilt, one that may be better another time."""
    from farm.runner.machine import emulator_fault

    reason = emulator_fault(job, outcome.failure, log) if outcome.status == "failed" else None
    if reason is None or outcome.failure is None:
        return outcome
    return dataclasses.replace(outcome, status="infra", failure=dataclasses.replace(outcome.failure, reason=reason))


def _of_layer(info: LayerInfo) -> Result:
    return Result(layer=info.digest, size=info.size, deleted=info.deleted)


def _last_result(state: RetryCallState) -> Made:
    assert state.outcome
    made: Made = state.outcome.result()
    return made


def _disk_full(error: Exception) -> str:
    """What to say when the store's disk is full, which any of its files may be the first to meet; else nothing."""
    of_file = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    of_database = isinstance(error, sqlite3.OperationalError) and "disk is full" in str(error)
    return "the store's disk is full: see `farm df` and `farm gc`" if of_file or of_database else ""


def _append(log: Path, text: str) -> None:
    with contextlib.suppress(OSError), open(log, "a", encoding="utf-8", errors="replace") as out:
        out.write(text)
