# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out a change of a root, as one transaction."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Literal

from farm.client.change import Candidate, Change
from farm.client.config import ClientConfig
from farm.client.database import Database, Installed
from farm.client.fetch import fetch_packages
from farm.client.progress import Report, nobody
from farm.client.protect import Protection, protection
from farm.client.subsets import ignored
from farm.client.transaction.lock import locked
from farm.client.transaction.recover import recover
from farm.client.transaction.stage import Parcel
from farm.client.transaction.work import Arrival, Departure, Work, carry_out
from farm.spec.problem import Problem


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """How a change is carried out.

    ``unowned``: what becomes of files of nobody that are in the way. ``overwrite``: files of other packages are taken
    from them. ``finalizers``: whether they run. ``keep_protected``: protected files of removed packages stay.
    ``durable``: everything is on the disk before the change counts; without, a power failure may lose it (for
    roots that are being made).
    """

    unowned: Literal["replace", "refuse"] = "replace"
    overwrite: bool = False
    finalizers: bool = True
    keep_protected: bool = False
    durable: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What was done. ``warnings`` need no action; ``failures`` are finalizers that failed: the exit status is not 0."""

    installed: tuple[Installed, ...] = ()
    removed: tuple[Installed, ...] = ()
    warnings: tuple[Problem, ...] = ()
    failures: tuple[Problem, ...] = ()


def apply(
    change: Change,
    config: ClientConfig,
    database: Database,
    *,
    options: Options = Options(),
    report: Report = nobody,
    cancel: threading.Event | None = None,
) -> Result:
    """Makes ``change`` come true, whole or not at all.

    FarmError ``locked``, ``cancelled``, what `fetch_packages` and docs/transactions.md list: nothing has changed then.
    """
    with locked(config):
        recover(config, database, report)
        tarballs = fetch_packages(change.arrivals, config, report=report, cancel=cancel)
        requested = change.requested | {after.id for before, after in change.replace if before.requested}
        arrivals = [
            arrival_of(candidate, tarballs[candidate.id], candidate.id in requested, config)
            for candidate in change.arrivals
        ]
        kept = protection(config) if options.keep_protected else Protection()
        departures = [Departure(one, kept) for one in change.remove]
        departures += [Departure(before, protection(config, after.entry.metadata)) for before, after in change.replace]
        work = Work(arrivals, departures, present=[one.id for one in change.present])
        done = carry_out(work, config, database, options, report, cancel)
        return Result(done.installed, change.remove, done.warnings, done.failures)


def arrival_of(candidate: Candidate, tarball: Path, requested: bool, config: ClientConfig) -> Arrival:
    """A package that comes, with what the configuration says of it. FarmError ``bad-regex`` and of finalizers."""
    metadata = candidate.entry.metadata
    parcel = Parcel(candidate.id, metadata, tarball, ignored(candidate.id, metadata.runtime, config))
    installed = Installed(
        candidate.id,
        candidate.repository.name,
        metadata.runtime,
        finalizer=candidate.entry.finalizer,
        requested=requested,
        sha256=metadata.sha256,
    )
    return Arrival(parcel, installed, protection(config, metadata))
