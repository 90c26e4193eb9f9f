# SPDX-License-Identifier: GPL-3.0-or-later
"""The middle of a transaction: what arrives and what goes is staged, laid out, switched, and committed."""

from __future__ import annotations

import dataclasses
import errno
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from farm.client.config import ClientConfig
from farm.client.database import Database, Installed
from farm.client.progress import Progress, Report
from farm.client.protect import Protection
from farm.client.transaction.area import Area, join, split
from farm.client.transaction.finish import finish, scripts_of
from farm.client.transaction.journal import Journal, TransactionFolder
from farm.client.transaction.layout import Laid, Layout, Rules
from farm.client.transaction.lock import transaction_lock
from farm.client.transaction.places import NAME, Places
from farm.client.transaction.recover import mend
from farm.client.transaction.stage import Parcel, Staged, stage
from farm.client.transaction.switch import Switch
from farm.client.transaction.view import View
from farm.client.transaction.writeback import Writeback
from farm.spec.model import PackageId
from farm.spec.problem import FarmError, Problem, error
from farm.store.download import check_cancel

if TYPE_CHECKING:
    from farm.client.transaction.apply import Options


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """A package that comes. ``installed`` is what will be registered; its files are found here."""

    parcel: Parcel
    installed: Installed
    protection: Protection = dataclasses.field(default_factory=Protection)


@dataclasses.dataclass(frozen=True, slots=True)
class Departure:
    """A package that goes; what ``keep`` covers stays unless it is replaced."""

    installed: Installed
    keep: Protection = dataclasses.field(default_factory=Protection)


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """One transaction. ``present``: packages that count as requested from now on."""

    arrivals: Sequence[Arrival] = ()
    departures: Sequence[Departure] = ()
    present: Sequence[PackageId] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """What was registered, what is worth a warning, and the finalizers that failed."""

    installed: tuple[Installed, ...] = ()
    warnings: tuple[Problem, ...] = ()
    failures: tuple[Problem, ...] = ()


def carry_out(
    work: Work,
    config: ClientConfig,
    database: Database,
    options: Options,
    report: Report,
    cancel: threading.Event | None = None,
) -> Done:
    """Does ``work``, whole or not at all; the root's lock is held. FarmError as docs/transactions.md lists."""
    folder = TransactionFolder(config)
    folder.begin()
    try:
        with Area(config.rootfs) as root:
            transaction = _Transaction(work, config, database, options, report, cancel, root, folder)
            journal, done = transaction.prepare()
            transaction.commit(journal, done)
    except BaseException as fault:
        mend(config, database, folder, report)
        if isinstance(fault, OSError):
            raise _as_error(fault, config) from fault
        raise
    return dataclasses.replace(done, failures=_finish(config, folder, journal, report))


def _finish(config: ClientConfig, folder: TransactionFolder, journal: Journal, report: Report) -> tuple[Problem, ...]:
    """The change counts already: what goes wrong now is told, and the next command tries again."""
    try:
        return finish(config, folder, journal, report)
    except FarmError as failure:
        return failure.problems
    except OSError as fault:
        message = f"the change was made, but {folder.path} cannot be cleared away: {fault}"
        return (Problem("finish-failed", message, hint="the next command tries again"),)


class _Transaction:
    def __init__(
        self,
        work: Work,
        config: ClientConfig,
        database: Database,
        options: Options,
        report: Report,
        cancel: threading.Event | None,
        root: Area,
        folder: TransactionFolder,
    ) -> None:
        self.work = work
        self.config = config
        self.database = database
        self.options = options
        self.report = report
        self.cancel = cancel or threading.Event()
        self.root = root
        self.folder = folder
        self.taken: dict[bytes, PackageId] = {}
        self.leaving = frozenset(one.installed.id for one in work.departures)
        self.going: dict[bytes, Departure] = {}
        self.there = [one for one in database.installed(files=False) if one.id not in self.leaving]

    def prepare(self) -> tuple[Journal, Done]:
        """Everything before the root is changed."""
        places = Places(self.root, self.folder.path, self.folder.note_works)
        staged = list(self._stage(places))
        layout = self._layout(places)
        self._depart(layout.view)
        laid = layout.arrive(
            [(one, arrival.protection) for one, arrival in zip(staged, self.work.arrivals, strict=True)]
        )
        layout.remove(lambda path: self.going[path].keep.covers(path))
        if errors := [problem for problem in layout.problems if problem.severity == "error"]:
            raise FarmError(errors)
        self.taken = layout.taken
        known = {os.fsencode(path) for one in self.there for path in one.directories}
        known |= {os.fsencode(path) for one in self.work.departures for path in one.installed.directories}
        registered = tuple(
            _registered(arrival, one, known | layout.made.keys() | layout.claimed)
            for arrival, one in zip(self.work.arrivals, laid, strict=True)
        )
        emptied = self._emptied({path for one in laid for path in one.folders})
        scripts = (
            scripts_of((one.installed for one in self.work.departures), registered) if self.options.finalizers else ()
        )
        journal = Journal("", tuple(places.works), tuple(layout.steps), emptied, scripts)
        journal = dataclasses.replace(journal, name=journal.digest(self.database.last_transaction()))
        return journal, Done(registered, tuple(layout.problems))

    def commit(self, journal: Journal, done: Done) -> None:
        """Changes the root, and then, as the last thing, the database."""
        check_cancel(self.cancel)
        self.report(Progress("switch", total=len(journal.steps)))
        self.folder.write(journal)
        with Switch(self.config.rootfs, journal.works) as switch:
            switch.forward(journal.steps)
            if self.options.durable:
                switch.sync()
        with self.database.transaction(journal.name):
            self._register(done.installed)

    def _stage(self, places: Places) -> Iterator[Staged]:
        total = len(self.work.arrivals)
        with Writeback(places.works[0]) as writeback:
            for number, arrival in enumerate(self.work.arrivals):
                check_cancel(self.cancel)
                self.report(Progress("unpack", str(arrival.parcel.id), number, total))
                staged = stage(arrival.parcel, number, places.works[0], same_owner=self.config.same_owner)
                if self.options.durable:
                    writeback.written(staged.size)
                yield staged

    def _layout(self, places: Places) -> Layout:
        reserved, lock = _reserved(self.config)
        claimed = {os.fsencode(path) for one in self.there for path in one.directories}
        rules = Rules(
            self.options.unowned,
            self.options.overwrite,
            self.config.overwrite_dir_perms,
            reserved,
            lock,
            frozenset(_above(os.fsdecode(path) for path in reserved)) - claimed,
        )
        return Layout(View(self.root), places, self._owners, rules)

    def _owners(self, paths: Sequence[bytes]) -> Mapping[bytes, PackageId]:
        found = self.database.owners((os.fsdecode(path) for path in paths), without=self.leaving)
        return {os.fsencode(path): owner for path, owner in found.items()}

    def _depart(self, view: View) -> None:
        """Finds what goes, as the root is now. What is not there, or became a folder, is nothing to remove."""
        before = View(self.root, view)
        for departure in self.work.departures:
            for path in departure.installed.files:
                folder, name = split(os.fsencode(path))
                try:
                    real = join(before.real(folder), name)
                except FarmError:
                    continue
                if before.kind(real) in ("f", "l"):
                    self.going[real] = departure
        view.going.update(self.going)

    def _emptied(self, needed: set[bytes]) -> tuple[bytes, ...]:
        """Folders that may have lost their last content and that nobody has any more, deepest first."""
        kept = needed | {os.fsencode(path) for one in self.there for path in one.directories}
        found: set[bytes] = set()
        for departure in self.work.departures:
            own = departure.installed.directories
            found |= {os.fsencode(path) for path in own} if own else set(_above(departure.installed.files))
        return tuple(sorted(found - kept - {b""}, key=lambda path: (-path.count(b"/"), path)))

    def _register(self, arrived: Iterable[Installed]) -> None:
        database = self.database
        for departure in self.work.departures:
            database.remove(departure.installed.id)
        for owner in set(self.taken.values()):
            lost = {os.fsdecode(path) for path, loser in self.taken.items() if loser == owner}
            if (loser_now := database.get(owner)) is not None:
                rest = tuple(path for path in loser_now.files if path not in lost)
                database.add(dataclasses.replace(loser_now, files=rest))
        for one in arrived:
            database.add(one)
        for package in self.work.present:
            database.set_requested(package, True)


def _registered(arrival: Arrival, laid: Laid, known: Iterable[bytes]) -> Installed:
    """What the database will say: where files really went, and folders that packages made."""
    digests = arrival.parcel.metadata.farm.get("digests")
    digests = digests if isinstance(digests, Mapping) else {}
    names = {os.fsdecode(raw): os.fsdecode(real) for raw, real in laid.files.items()}
    folders = set(laid.folders).intersection(known)
    return dataclasses.replace(
        arrival.installed,
        files=tuple(names.values()),
        digests={real: digests[raw] for raw, real in names.items() if raw in digests},
        directories=tuple(sorted(os.fsdecode(path) for path in folders)),
    )


def _above(files: Iterable[str]) -> Iterator[bytes]:
    for path in files:
        folder = split(os.fsencode(path))[0]
        while folder:
            yield folder
            folder = split(folder)[0]


def _reserved(config: ClientConfig) -> tuple[frozenset[bytes], bytes]:
    """Paths below the root that no package may have, and which of them is the lock."""
    database = config.database_file
    places = [database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-journal")]
    places += [TransactionFolder(config).path, transaction_lock(config), config.lock_file, config.rootfs / NAME]
    inside = (path for path in places if path.is_relative_to(config.rootfs))
    lock = os.fsencode(config.lock_file.relative_to(config.rootfs))
    return frozenset(os.fsencode(path.relative_to(config.rootfs)) for path in inside), lock


def _as_error(fault: OSError, config: ClientConfig) -> FarmError:
    if fault.errno in (errno.ENOSPC, errno.EDQUOT):
        return error("disk-full", f"no room in {config.rootfs}: {fault}", hint="nothing was changed; free some space")
    return error("switch-failed", f"{config.rootfs} cannot be changed: {fault}", hint="nothing was changed")
