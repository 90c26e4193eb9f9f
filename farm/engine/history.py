# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the journal. All answers are plain, typed data; times in seconds since 1970."""

from __future__ import annotations

import dataclasses
import json
import re
import sqlite3
import statistics
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from farm.engine.process import alive
from farm.plan.job import Job
from farm.plan.node import Node

GUESSES: Mapping[str, float] = {
    "fetch": 3.0,
    "seed": 60.0,
    "job": 20.0,
    "pack": 2.0,
    "assemble": 1.0,
    "unpack": 1.0,
    "work": 10.0,
}
"""Seconds that a node of each kind takes when history knows nothing."""

SOURCE_SPEED = 65536
"""Bytes of packed sources that a job builds in a second, when nothing is known of it: right within some five times
(busybox 50 000, GCC 20 000 with one core of 2020)."""

_RECENT = 10000
_KEY = re.compile(r"[0-9a-f]{6,64}")
_EXECUTIONS = """
SELECT * FROM executions
WHERE (:run IS NULL OR run = :run)
AND (:name IS NULL OR node = :name OR package = :name OR atom = :name OR key LIKE :key || '%')
ORDER BY rowid DESC LIMIT :limit
"""
_VERSION = re.compile(r"-\d[^-]*(-r\d+)?(\+\d+)?$")


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """One run. ``outcome``: that of `RunFinished`, or ``running``, or ``interrupted``: its process died."""

    id: str
    started: float
    ended: float | None
    argv: tuple[str, ...]
    pid: int
    outcome: str
    nodes: int
    counts: Mapping[str, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Execution:
    """One attempt to make a node. ``status`` is ``running`` or ``interrupted`` while there is no other."""

    run: str
    node: str
    package: str | None
    kind: str
    key: str
    attempt: int
    status: str
    started: float
    ended: float | None
    cpu: float
    memory_peak: int
    log: Path
    failure: Mapping[str, Any] | None

    @property
    def wall(self) -> float | None:
        """Seconds it took; None while it runs or when it was interrupted."""
        return None if self.ended is None else self.ended - self.started


@dataclasses.dataclass(frozen=True, slots=True)
class KeyUse:
    """Since when a node had a key: it was made, or found in the cache, under it."""

    node: str
    package: str | None
    key: str
    run: str
    at: float


class History:
    """The reading side of the journal."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def runs(self, limit: int = 50) -> list[Run]:
        """The latest runs, latest first."""
        rows = self._db.execute("SELECT * FROM runs ORDER BY rowid DESC LIMIT ?", (limit,))
        return [self._run(row) for row in rows]

    def run(self, run: str) -> Run | None:
        """One run by its id."""
        row = self._db.execute("SELECT * FROM runs WHERE id = ?", (run,)).fetchone()
        return self._run(row) if row else None

    def live_runs(self) -> list[Run]:
        """Runs whose process is alive, latest first."""
        return [run for run in self._open_runs() if run.outcome == "running"]

    def running(self) -> list[Execution]:
        """What runs now, in all live runs, oldest first."""
        rows = self._db.execute("SELECT * FROM executions WHERE status = 'running' ORDER BY rowid")
        return [found for found in self._executions(rows) if found.status == "running"]

    def executions(self, name: str | None = None, *, run: str | None = None, limit: int = 100) -> list[Execution]:
        """Attempts, latest first.

        ``name``: a node's id, a package with or without its version, or six or more digits of a key.
        """
        key = name if name and _KEY.fullmatch(name) else None
        values = {"run": run, "name": name, "key": key, "limit": limit}
        return self._executions(self._db.execute(_EXECUTIONS, values))

    def latest(self, name: str) -> Execution | None:
        """The execution that ``farm log NAME`` means.

        One that runs; else, of the latest run that has any, one that failed; else the job.
        """

        def rank(found: Execution) -> tuple[bool, bool, bool, bool]:
            failed = found.status not in ("ok", "running")
            return found.status == "running", found.run == newest, failed, found.kind == "job"

        found = self.executions(name)
        newest = found[0].run if found else ""
        return max(found, key=rank, default=None)

    def log_of(self, name: str) -> Path | None:
        """The path of the log of `latest`."""
        found = self.latest(name)
        return found.log if found else None

    def keys_of(self, name: str, limit: int = 50) -> list[KeyUse]:
        """The keys under which a node (by id) or a package's nodes were made, latest first."""
        sql = (
            "SELECT node, package, key, run, at FROM keys WHERE node = :name OR package = :name OR atom = :name"
            " ORDER BY rowid DESC LIMIT :limit"
        )
        return [KeyUse(*row) for row in self._db.execute(sql, {"name": name, "limit": limit})]

    def names_of(self, keys: Iterable[str]) -> dict[str, str]:
        """The node that was last made under each of these keys; those of no node are left out."""
        sql = "SELECT node FROM keys WHERE key = ? ORDER BY rowid DESC LIMIT 1"
        found = ((key, self._db.execute(sql, (key,)).fetchone()) for key in keys)
        return {key: str(row["node"]) for key, row in found if row}

    def last_key(self, node: str) -> str | None:
        """The key under which a node was made last."""
        sql = "SELECT key FROM keys WHERE node = ? ORDER BY rowid DESC LIMIT 1"
        row = self._db.execute(sql, (node,)).fetchone()
        return str(row[0]) if row else None

    def last_keys(self) -> dict[str, str]:
        """`last_key` of every node that ever was made."""
        sql = "SELECT node, key FROM keys WHERE rowid IN (SELECT max(rowid) FROM keys GROUP BY node)"
        return dict(self._db.execute(sql).fetchall())

    def events(self, run: str, after: int = 0) -> list[tuple[int, dict[str, Any]]]:
        """A run's events (as `Event.to_json` has them) numbered higher than ``after``, in order."""
        sql = "SELECT rowid, event FROM events WHERE run = ? AND rowid > ? ORDER BY rowid"
        rows = self._db.execute(sql, (run, after))
        return [(number, json.loads(text)) for number, text in rows]

    def estimates(self, nodes: Iterable[Node], size_of: Callable[[str], int] = lambda _need: 0) -> dict[str, float]:
        """Seconds each node may take.

        The median of its own past; of its package's; what its spec expects; the larger of its kind's median (or a
        guess) and what the sources tell that it needs: ``size_of`` gives a needed node's bytes, 0 where it knows none,
        and is asked only about jobs of which nothing else is known.
        """
        sql = (
            "SELECT node, atom, kind, ended - started FROM executions WHERE status = 'ok'"
            f" ORDER BY rowid DESC LIMIT {_RECENT}"
        )
        walls: dict[tuple[str, ...], list[float]] = {}
        for node, of_atom, kind, wall in self._db.execute(sql):
            for past in _pasts(node, of_atom, kind):
                walls.setdefault(past, []).append(wall)
        medians = {past: statistics.median(times) for past, times in walls.items()}
        return {node.id: _estimate(node, medians, size_of) for node in nodes}

    def _open_runs(self) -> list[Run]:
        rows = self._db.execute("SELECT * FROM runs WHERE outcome = '' ORDER BY rowid DESC")
        return [self._run(row) for row in rows]

    def _run(self, row: sqlite3.Row) -> Run:
        outcome = row["outcome"] or ("running" if alive(row["pid"], row["birth"]) else "interrupted")
        argv, counts = tuple(json.loads(row["argv"])), json.loads(row["counts"])
        return Run(row["id"], row["started"], row["ended"], argv, row["pid"], outcome, row["nodes"], counts)

    def _executions(self, rows: Iterable[sqlite3.Row]) -> list[Execution]:
        live = {run.id for run in self.live_runs()}
        return [_execution(row, live) for row in rows]


def atom(package: str | None) -> str | None:
    """``category/name`` of ``category/name-version``."""
    return _VERSION.sub("", package) if package else None


def kind_of(node: Node) -> str:
    """What kind of action makes the node: ``fetch``, ``seed``, ``job``, ``pack``, ``unpack``, …"""
    return type(node.action).__name__.lower()


def _estimate(node: Node, medians: Mapping[tuple[str, ...], float], size_of: Callable[[str], int]) -> float:
    kind = kind_of(node)
    *own, of_kind = _pasts(node.id, atom(node.package), kind)
    if known := [medians[past] for past in own if past in medians]:
        return known[0]
    guess = medians.get(of_kind, GUESSES[kind])
    if not isinstance(node.action, Job):
        return guess
    if node.action.limits.expected is not None:
        return node.action.limits.expected
    return max(guess, sum(map(size_of, node.needs)) / SOURCE_SPEED)


def _pasts(node: str, of_atom: str | None, kind: str) -> tuple[tuple[str, ...], ...]:
    """Whose past tells of a node's future, the closest first, its kind's last."""
    of_package = (("package", of_atom, kind),) if of_atom else ()
    return (("node", node), *of_package, ("kind", kind))


def _execution(row: sqlite3.Row, live: set[str]) -> Execution:
    status = row["status"]
    if status == "running" and row["run"] not in live:
        status = "interrupted"
    failure = json.loads(row["failure"]) if row["failure"] else None
    read = {"status": status, "log": Path(row["log"]), "failure": failure}
    return Execution(**{field.name: row[field.name] for field in dataclasses.fields(Execution)} | read)
