# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata that was found out once: by ebuild, its md5, and the md5 of every eclass that it inherits."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from farm.kit.metadata.entry import Metadata, parse_metadata

_SCHEMA = "CREATE TABLE IF NOT EXISTS entries (ebuild TEXT, md5 TEXT, text TEXT, PRIMARY KEY (ebuild, md5, text))"
_AT_A_TIME = 400


class MetadataCache:
    """A database of one file, for any number of processes. Entries never change; a wrong one is never used."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(file, timeout=60, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute(_SCHEMA)

    def close(self) -> None:
        """Closes the database."""
        self._database.close()

    def look_up(self, ebuilds: Mapping[str, str]) -> dict[str, list[Metadata]]:
        """``category/name-version`` → md5 of the ebuild; gives what is known of each, for whatever eclasses."""
        found: dict[str, list[Metadata]] = {}
        names = list(ebuilds)
        for start in range(0, len(names), _AT_A_TIME):
            part = names[start : start + _AT_A_TIME]
            marks = ",".join("?" * len(part))
            for name, md5, text in self._database.execute(
                f"SELECT ebuild, md5, text FROM entries WHERE ebuild IN ({marks})", part
            ):
                if md5 == ebuilds[name] and (entry := parse_metadata(text)):
                    found.setdefault(name, []).append(entry)
        return found

    def remember(self, entries: Iterable[tuple[str, Metadata]]) -> None:
        """Adds entries, all of them or none."""
        rows = [(name, entry.md5, entry.to_text()) for name, entry in entries]
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR IGNORE INTO entries VALUES (?, ?, ?)", rows)
