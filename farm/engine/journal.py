# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: what every farm on a store did and does, in ``STORE/journal.db`` (SQLite, WAL).

Events are only ever added; the other tables are what the events say, kept ready for questions (`History`).
Several farms write at once; each run is written by one thread. Rows are collected and committed together
by `flush`. Of nodes that came from the cache only their number is written, and their key where it is new.
A run without outcome whose process is gone was interrupted: it is shown so, and closed by the next run.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from farm.engine.events import (
    Event,
    NodeFinished,
    NodeRetried,
    NodeStarted,
    RunFinished,
    RunStarted,
    plain,
)
from farm.engine.history import History, atom
from farm.engine.logs import remove_logs
from farm.engine.process import alive, me
from farm.spec.problem import FarmError, error

VERSION = 1
_SCHEMA = """
CREATE TABLE runs(
    id TEXT PRIMARY KEY, started REAL, ended REAL, argv TEXT, pid INTEGER, birth TEXT, outcome TEXT,
    nodes INTEGER, counts TEXT);
CREATE INDEX runs_by_outcome ON runs(outcome);
CREATE TABLE executions(
    run TEXT, node TEXT, package TEXT, atom TEXT, kind TEXT, key TEXT, attempt INTEGER, status TEXT,
    started REAL, ended REAL, cpu REAL, memory_peak INTEGER, log TEXT, failure TEXT);
CREATE UNIQUE INDEX executions_by_attempt ON executions(run, node, attempt);
CREATE INDEX executions_by_status ON executions(status);
CREATE TABLE keys(node TEXT, package TEXT, atom TEXT, key TEXT, run TEXT, at REAL);
CREATE INDEX keys_by_node ON keys(node);
CREATE TABLE events(run TEXT, at REAL, event TEXT);
CREATE INDEX events_by_run ON events(run);
"""


def _open(path: Path) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    except sqlite3.DatabaseError as problem:
        raise _unusable(path, problem) from problem
    database.row_factory = sqlite3.Row
    return database


def _unusable(path: Path, problem: Exception) -> FarmError:
    if isinstance(problem, sqlite3.OperationalError):
        hint = "see whether its disk is full, and whether you may write there"
        return error("journal-unavailable", f"{path}: {problem}", hint=hint)
    hint = "move the file away: only the history of runs and the estimates are in it"
    return error("journal-damaged", f"{path}: {problem}", hint=hint)


class Journal(History):
    """The journal of the store in folder ``root``.

    FarmError ``journal-version``: a newer farm made it; ``journal-damaged``, ``journal-unavailable``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        super().__init__(_open(root / "journal.db"))
        try:
            self._prepare()
        except sqlite3.DatabaseError as problem:
            self._db.close()
            raise _unusable(root / "journal.db", problem) from problem
        except BaseException:
            self._db.close()
            raise
        self._rows: list[tuple[str, Sequence[Any]]] = []
        self._cached: Counter[str] = Counter()
        self._keys: dict[str, str] = {}

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is left, where that can be, and closes the database."""
        try:
            with suppress(sqlite3.OperationalError):
                self.flush()
        finally:
            self._db.close()

    def begin(self, argv: Sequence[str] = ()) -> str:
        """Opens a run of this process; its id. Runs of dead processes are closed as ``interrupted``."""
        self._close_dead_runs()
        run = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        values = (run, time.time(), None, json.dumps(list(argv or sys.argv)), *me(), "", 0, "{}")
        self._db.execute("INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?)", values)
        self._keys = self.last_keys()
        return run

    def write(self, event: Event) -> None:
        """Takes an event; it is in the database after the next `flush`."""
        match event:
            case NodeFinished(status="cached"):
                self._cached[event.run] += 1
                self._key(event)
                return
            case NodeFinished(status="skipped"):
                return
            case RunStarted():
                self._add("UPDATE runs SET nodes = ? WHERE id = ?", event.nodes, event.run)
            case NodeStarted():
                self._start(event)
            case NodeRetried():
                self._end(event, "infra", event.failure)
            case NodeFinished(attempt=attempt) if attempt:
                self._end(event, event.status, event.failure, event.cpu, event.memory_peak)
                if event.status == "ok":
                    self._key(event)
            case RunFinished():
                self._finish(event)
        self._event(event)

    def flush(self) -> None:
        """Commits what was taken, in one transaction."""
        for run, count in self._cached.items():
            text = json.dumps({"event": "nodes-cached", "run": run, "at": time.time(), "count": count})
            self._add("INSERT INTO events VALUES (?,?,?)", run, time.time(), text)
        self._cached.clear()
        if self._rows:
            with self._transaction():
                for sql, values in self._rows:
                    self._db.execute(sql, values)
            self._rows.clear()

    def expire(self, before: float) -> list[str]:
        """Removes logs and events of runs that ended before a time ; their ids. Executions are kept, for estimates."""
        self._close_dead_runs()
        sql = "SELECT id FROM runs WHERE outcome != '' AND ended < ?"
        gone = [str(row["id"]) for row in self._db.execute(sql, (before,))]
        for run in gone:
            remove_logs(self.root, run)
        with self._transaction():
            self._db.executemany("DELETE FROM events WHERE run = ?", [(run,) for run in gone])
        return gone

    def _add(self, sql: str, *values: Any) -> None:
        self._rows.append((sql, values))

    def _event(self, event: Event) -> None:
        self._add("INSERT INTO events VALUES (?,?,?)", event.run, event.at, json.dumps(event.to_json()))

    def _start(self, event: NodeStarted) -> None:
        of_package = (event.package, atom(event.package))
        values = (event.kind, event.key, event.attempt, event.at, str(event.log))
        sql = "INSERT INTO executions VALUES (?,?,?,?,?,?,?,'running',?,NULL,0,0,?,NULL)"
        self._add(sql, event.run, event.node, *of_package, *values)

    def _end(
        self, event: NodeRetried | NodeFinished, status: str, failure: Any, cpu: float = 0.0, peak: int = 0
    ) -> None:
        text = json.dumps(plain(failure)) if failure else None
        changes = "status=?, ended=?, cpu=?, memory_peak=?, failure=?"
        sql = f"UPDATE executions SET {changes} WHERE run=? AND node=? AND attempt=?"
        self._add(sql, status, event.at, cpu, peak, text, event.run, event.node, event.attempt)

    def _key(self, event: NodeFinished) -> None:
        if self._keys.get(event.node) != event.key:
            self._keys[event.node] = event.key
            values = (event.node, event.package, atom(event.package), event.key, event.run, event.at)
            self._add("INSERT INTO keys VALUES (?,?,?,?,?,?)", *values)

    def _finish(self, event: RunFinished) -> None:
        sql = "UPDATE runs SET ended=?, outcome=?, counts=? WHERE id=?"
        self._add(sql, event.at, event.outcome, json.dumps(event.counts), event.run)
        self._add("UPDATE executions SET status='interrupted' WHERE run=? AND status='running'", event.run)

    def _close_dead_runs(self) -> None:
        rows = self._db.execute("SELECT id, pid, birth FROM runs WHERE outcome = ''").fetchall()
        dead = [(row["id"],) for row in rows if not alive(row["pid"], row["birth"])]
        if dead:
            with self._transaction():
                last = "max(started, coalesce((SELECT max(at) FROM events WHERE run = id), 0))"
                self._db.executemany(f"UPDATE runs SET outcome='interrupted', ended={last} WHERE id=?", dead)
                sql = "UPDATE executions SET status='interrupted' WHERE run=? AND status='running'"
                self._db.executemany(sql, dead)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            hint = "use a newer farm, or another store"
            raise error("journal-version", f"{self.root}/journal.db was made by a newer farm", hint=hint)
        if version == 0:
            self._create()
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("SELECT 1 FROM runs, executions, keys, events LIMIT 0")

    def _create(self) -> None:
        """Two farms may come here at once, and SQLite cannot wait for the change to WAL: hence the file lock."""
        lock = os.open(self.root / "journal.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        finally:
            os.close(lock)
