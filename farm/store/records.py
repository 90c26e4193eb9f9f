# SPDX-License-Identifier: GPL-3.0-or-later
"""The store's database: results by key, what is known of each object, and when it was last used.

The file system is the truth of what exists. A row that is missing costs a verification, never an object.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from farm.spec.problem import error

VERSION = 1
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS actions (
  key TEXT PRIMARY KEY, document TEXT NOT NULL, result TEXT, used REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS objects (
  kind TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, entries INTEGER NOT NULL DEFAULT 0,
  deleted TEXT NOT NULL DEFAULT '[]', boot TEXT NOT NULL DEFAULT '', used REAL NOT NULL,
  PRIMARY KEY (kind, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS made (
  number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS good (
  kind TEXT NOT NULL, digest TEXT NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL,
  PRIMARY KEY (kind, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS damage (
  number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, digest TEXT NOT NULL, found REAL NOT NULL,
  names TEXT NOT NULL, withdrawn TEXT NOT NULL);
PRAGMA user_version = {VERSION};
"""
"""``made``, ``good`` and ``damage`` came later (see `farm.store.damage`): older farms may use the store.

``damage.names`` are digests (JSON) by which documents name the object, none: all do; ``withdrawn`` the results by key.
"""
_GOOD_IF_NEW = """
INSERT OR IGNORE INTO good
SELECT ?, ?, (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'made'), ?
WHERE NOT EXISTS (SELECT 1 FROM objects WHERE kind = ? AND digest = ?)
"""
_BATCH = 500


class Records:
    """One connection, usable from all threads of a process; many processes may have the database open."""

    def __init__(self, path: Path) -> None:
        self._mutex = threading.RLock()
        try:
            self._db = sqlite3.connect(path, timeout=60, check_same_thread=False, isolation_level=None)
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise error("store-version", f"{path} was made by a newer farm", hint="use that, or another store")
            if version == 0:
                self._db.execute("PRAGMA journal_mode = WAL")
            if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'damage'").fetchone():
                self._db.executescript(_SCHEMA)
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("SELECT 1 FROM actions, objects LIMIT 0")
        except sqlite3.OperationalError as problem:
            hint = "see whether its disk is full, and whether you may write there"
            raise error("store-unavailable", f"{path}: {problem}", hint=hint) from problem
        except sqlite3.DatabaseError as problem:
            hint = "move the file away: the store makes a new one and verifies its objects as they are used"
            raise error("store-damaged", f"{path}: {problem}", hint=hint) from problem

    def close(self) -> None:
        """Closes the connection."""
        with self._mutex:
            self._db.close()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """All that is written inside is one transaction."""
        with self._mutex:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def put_action(self, key: str, document: dict[str, Any], result: dict[str, Any]) -> None:
        """Remembers what the action of this key made, and that no result is later."""
        now = time.time()
        row = (key, json.dumps(document, sort_keys=True), json.dumps(result, sort_keys=True), now)
        with self.writing():
            self._db.execute("INSERT OR REPLACE INTO actions VALUES (?, ?, ?, ?)", row)
            self._db.execute("INSERT OR REPLACE INTO made(key, at) VALUES (?, ?)", (key, now))

    def put_document(self, key: str, document: dict[str, Any]) -> None:
        """Remembers the document of an action that made nothing; a result that is there stays."""
        row = (key, json.dumps(document, sort_keys=True), time.time())
        with self.writing():
            self._db.execute("INSERT OR IGNORE INTO actions VALUES (?, ?, NULL, ?)", row)

    def results(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What is remembered of these keys. Says nothing of whether it still exists."""
        found: dict[str, dict[str, Any]] = {}
        for batch in _batches(keys):
            marks = ",".join("?" * len(batch))
            query = f"SELECT key, result FROM actions WHERE key IN ({marks}) AND result IS NOT NULL"
            found.update((key, json.loads(result)) for key, result in self.ask(query, batch))
        return found

    def document(self, key: str) -> dict[str, Any] | None:
        """The key document of an action that was recorded."""
        rows = self.ask("SELECT document FROM actions WHERE key = ?", (key,))
        return dict(json.loads(rows[0][0])) if rows else None

    def documents(self, keys: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Keys and documents (JSON) of these, some at a time: a document may be long."""
        for batch in _batches(keys):
            marks = ",".join("?" * len(batch))
            yield from self.ask(f"SELECT key, document FROM actions WHERE key IN ({marks})", batch)

    def put_object(self, kind: str, digest: str, size: int, entries: int, deleted: Sequence[str], boot: str) -> None:
        """Remembers an object that was made or verified in this ``boot`` (empty: it is safe on disk).

        One that nothing was known of is good from now on; one that was there before may have been damaged since.
        """
        now = time.time()
        row = (kind, digest, size, entries, json.dumps(list(deleted)), boot, now)
        with self.writing():
            self._db.execute(_GOOD_IF_NEW, (kind, digest, now, kind, digest))
            self._db.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", row)

    def object(self, kind: str, digest: str) -> tuple[int, int, tuple[str, ...], str] | None:
        """Size, number of entries, deleted paths, boot."""
        query = "SELECT size, entries, deleted, boot FROM objects WHERE kind = ? AND digest = ?"
        for size, entries, deleted, boot in self.ask(query, (kind, digest)):
            return size, entries, tuple(json.loads(deleted)), boot
        return None

    def known(self, boot: str) -> set[tuple[str, str]]:
        """Objects (kind, digest) that need no verification: safe on disk, or made in this boot."""
        return set(self.ask("SELECT kind, digest FROM objects WHERE boot IN ('', ?)", (boot,)))

    def blob_sizes(self) -> dict[str, int]:
        """Bytes of each known blob, by digest."""
        return dict(self.ask("SELECT digest, size FROM objects WHERE kind = 'blob'", ()))

    def usage(self) -> list[tuple[float, str, str, int]]:
        """Last use, kind, digest and size of all objects, the least recently used first."""
        return self.ask("SELECT used, kind, digest, size FROM objects ORDER BY used, kind, digest", ())

    def unsettled(self, boot: str) -> list[tuple[str, str]]:
        """Objects made in this boot that may not be on disk yet."""
        return self.ask("SELECT kind, digest FROM objects WHERE boot = ?", (boot,))

    def settle(self, objects: Iterable[tuple[str, str]]) -> None:
        """Marks objects as safe on disk."""
        with self.writing():
            self._db.executemany("UPDATE objects SET boot = '' WHERE kind = ? AND digest = ?", list(objects))

    def touch(self, objects: Iterable[tuple[str, str]], keys: Iterable[str] = ()) -> None:
        """Sets the last use to now."""
        now = time.time()
        with self.writing():
            self._db.executemany(
                "UPDATE objects SET used = ? WHERE kind = ? AND digest = ?", [(now, *item) for item in objects]
            )
            self._db.executemany("UPDATE actions SET used = ? WHERE key = ?", [(now, key) for key in keys])

    def forget(self, objects: Iterable[tuple[str, str]]) -> None:
        """Removes the rows of objects that are gone."""
        gone = list(objects)
        with self.writing():
            for table in ("objects", "good"):
                self._db.executemany(f"DELETE FROM {table} WHERE kind = ? AND digest = ?", gone)

    def forget_actions(self, before: float) -> None:
        """Removes actions last used, and what was withdrawn, before that time, in seconds since 1970."""
        with self.writing():
            self._db.execute("DELETE FROM actions WHERE used < ?", (before,))
            self._db.execute("DELETE FROM made WHERE key NOT IN (SELECT key FROM actions)")
            self._db.execute("DELETE FROM damage WHERE found < ?", (before,))

    def ask(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows that a query gives."""
        with self._mutex:
            return self._db.execute(query, values).fetchall()

    def tell(self, command: str, rows: Iterable[Sequence[Any]]) -> None:
        """Carries out a command for each of these rows of values."""
        with self.writing():
            self._db.executemany(command, rows)


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[start : start + _BATCH] for start in range(0, len(keys), _BATCH))
