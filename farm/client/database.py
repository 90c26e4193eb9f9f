# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed in a root: one SQLite file, changed in one step a transaction (docs/client.md has the schema)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from farm.spec.model import PackageId, Requirement
from farm.spec.problem import error

FILE = "anise.sqlite"
"""Name of the database below ``system.database_path``."""

VERSION = 1

_SCHEMA = """
CREATE TABLE packages (
    number INTEGER PRIMARY KEY,
    category TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL,
    repository TEXT NOT NULL, requested INTEGER NOT NULL, sha256 TEXT NOT NULL,
    runtime TEXT NOT NULL, finalizer TEXT, directories TEXT NOT NULL,
    UNIQUE (category, name, version));
CREATE TABLE files (
    path BLOB NOT NULL, package INTEGER NOT NULL REFERENCES packages ON DELETE CASCADE, digest TEXT NOT NULL,
    PRIMARY KEY (package, path)) WITHOUT ROWID;
CREATE INDEX files_by_path ON files (path);
CREATE TABLE transactions (number INTEGER PRIMARY KEY, name TEXT NOT NULL);
"""
_COLUMNS = "number, category, name, version, repository, requested, sha256, runtime, finalizer, directories"


@dataclasses.dataclass(frozen=True, slots=True)
class Installed:
    """A package in a root.

    ``runtime`` is its definition as plain data (requires, conflicts, provides, annotations, …). ``files`` are all
    that was put into the root and is not a directory, relative to it without leading slash; ``digests`` the sha256
    of those that are regular files, where it is known; ``directories`` what the package has as directories of
    its own. ``requested``: the user asked for it; otherwise only another package did. ``sha256`` is the tarball's.
    """

    id: PackageId
    repository: str = ""
    runtime: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    files: tuple[str, ...] = ()
    finalizer: Mapping[str, Any] | None = dataclasses.field(default=None, hash=False)
    requested: bool = True
    digests: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    directories: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def requires(self) -> tuple[Requirement, ...]:
        """What it needs."""
        return requirements(self.runtime, "requires")

    @property
    def conflicts(self) -> tuple[Requirement, ...]:
        """What it cannot be together with."""
        return requirements(self.runtime, "conflicts")

    @property
    def provides(self) -> tuple[Requirement, ...]:
        """What else it stands in for."""
        return requirements(self.runtime, "provides")


def requirements(runtime: Mapping[str, Any], key: str) -> tuple[Requirement, ...]:
    """The list of packages that a definition has under ``key``; what has no name in it is left out."""
    listed = runtime.get(key)
    items = [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, (list, tuple)) else []
    return tuple(
        Requirement(str(item.get("category") or ""), str(item["name"]), str(item.get("version") or ""))
        for item in items
        if item.get("name")
    )


class Database:
    """The installed packages of one root. Used by one thread; other processes may read at the same time.

    Changes are made inside ``with database.transaction(name):`` and become visible, all at once, at its end. The
    name of the last one that was committed survives a crash (`last_transaction`): it tells whoever finds a
    journal in the root whether its work counts as done.
    """

    def __init__(self, path: Path) -> None:
        """Opens, or makes, the database at ``path``. FarmError ``bad-database``."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=60)
        try:
            self._prepare()
        except sqlite3.DatabaseError as fault:
            self._db.close()
            hint = "move it away and run `farm anise database adopt`, which makes it anew from the root and the wagons"
            raise error("bad-database", f"{path} cannot be read: {fault}", hint=hint) from fault

    def __enter__(self) -> Database:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Gives up the file."""
        self._db.close()

    @contextlib.contextmanager
    def transaction(self, name: str = "") -> Iterator[None]:
        """All changes made inside are committed together at the end, or none when an exception leaves it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            if name:
                self._db.execute("DELETE FROM transactions")
                self._db.execute("INSERT INTO transactions (name) VALUES (?)", (name,))
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def last_transaction(self) -> str:
        """The name of the last named transaction that was committed; empty when there was none."""
        row = self._db.execute("SELECT name FROM transactions ORDER BY number DESC LIMIT 1").fetchone()
        return str(row[0]) if row else ""

    def installed(self, *, files: bool = True) -> list[Installed]:
        """All packages by category, name and version; with ``files=False`` without their files (much faster)."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM packages ORDER BY category, name, version").fetchall()
        held = self._all_files() if files else {}
        return [_installed(row, held.get(row[0], ())) for row in rows]

    def get(self, package: PackageId) -> Installed | None:
        """One package."""
        row = self._row(package)
        if row is None:
            return None
        sql = "SELECT path, digest FROM files WHERE package = ? ORDER BY path"
        return _installed(row, self._db.execute(sql, (row[0],)).fetchall())

    def owner(self, path: str) -> PackageId | None:
        """The package that has installed ``path`` (with or without a leading slash); None for nobody's."""
        found = self.owners([path])
        return found.get(path.lstrip("/"))

    def owners(self, paths: Iterable[str], without: Collection[PackageId] = ()) -> dict[str, PackageId]:
        """Path (without leading slash) → its package, of those of ``paths`` that have one not among ``without``."""
        sql = (
            "SELECT category, name, version FROM files JOIN packages ON packages.number = files.package"
            " WHERE path = ? ORDER BY packages.number"
        )
        found = {}
        for path in paths:
            holders = (PackageId(*row) for row in self._db.execute(sql, (os.fsencode(path.lstrip("/")),)))
            owner = next((holder for holder in holders if holder not in without), None)
            if owner is not None:
                found[path.lstrip("/")] = owner
        return found

    def paths(self) -> Iterator[tuple[str, PackageId]]:
        """All files with their packages."""
        rows = self._db.execute("SELECT number, category, name, version FROM packages")
        packages = {row[0]: PackageId(*row[1:]) for row in rows}
        for path, package in self._db.execute("SELECT path, package FROM files"):
            yield os.fsdecode(path), packages[package]

    def add(self, package: Installed) -> None:
        """Registers a package in the place of the same version of it, if there is one."""
        self.remove(package.id)
        values = (
            *dataclasses.astuple(package.id),
            package.repository,
            package.requested,
            package.sha256,
            _json(package.runtime),
            _json(package.finalizer) if package.finalizer is not None else None,
            _json(package.directories),
        )
        marks = ", ".join("?" * len(values))
        number = self._db.execute(f"INSERT INTO packages ({_COLUMNS}) VALUES (NULL, {marks})", values).lastrowid
        rows = ((number, os.fsencode(path), package.digests.get(path, "")) for path in dict.fromkeys(package.files))
        self._db.executemany("INSERT INTO files (package, path, digest) VALUES (?, ?, ?)", rows)

    def remove(self, package: PackageId) -> None:
        """Forgets a package; nothing happens when it is not there."""
        self._db.execute(
            "DELETE FROM packages WHERE category = ? AND name = ? AND version = ?", dataclasses.astuple(package)
        )

    def set_requested(self, package: PackageId, requested: bool) -> None:
        """Notes whether the user asked for a package."""
        values = (requested, *dataclasses.astuple(package))
        self._db.execute("UPDATE packages SET requested = ? WHERE category = ? AND name = ? AND version = ?", values)

    def reindex(self) -> None:
        """Checks the file and makes its indices anew. FarmError ``bad-database``."""
        found = [row[0] for row in self._db.execute("PRAGMA integrity_check")]
        if found != ["ok"]:
            hint = "move it away and run `farm anise database adopt`"
            raise error("bad-database", f"{self.path} is damaged: {'; '.join(found[:3])}", hint=hint)
        self._db.execute("REINDEX")
        self._db.execute("VACUUM")

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        with self.transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise error("bad-database", f"{self.path} was written by a later farm", hint="use that farm")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")

    def _row(self, package: PackageId) -> tuple[Any, ...] | None:
        sql = f"SELECT {_COLUMNS} FROM packages WHERE category = ? AND name = ? AND version = ?"
        row: tuple[Any, ...] | None = self._db.execute(sql, dataclasses.astuple(package)).fetchone()
        return row

    def _all_files(self) -> dict[int, list[tuple[bytes, str]]]:
        found: dict[int, list[tuple[bytes, str]]] = {}
        for package, path, digest in self._db.execute("SELECT package, path, digest FROM files ORDER BY package, path"):
            found.setdefault(package, []).append((path, digest))
        return found


def _installed(row: tuple[Any, ...], files: Iterable[tuple[bytes, str]]) -> Installed:
    _, category, name, version, repository, requested, sha256, runtime, finalizer, directories = row
    held = [(os.fsdecode(path), digest) for path, digest in files]
    return Installed(
        PackageId(category, name, version),
        repository,
        json.loads(runtime),
        tuple(path for path, _ in held),
        json.loads(finalizer) if finalizer is not None else None,
        bool(requested),
        {path: digest for path, digest in held if digest},
        tuple(json.loads(directories)),
        sha256,
    )


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=dict)
