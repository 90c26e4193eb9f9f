# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a transaction: what is under way, in a form from which a later process can end it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from farm.client.config import ClientConfig
from farm.client.transaction.step import FolderTable, Script, Step, from_row, to_row
from farm.spec.problem import error
from farm.store.removal import remove_tree

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Journal:
    """What is about to be done. ``name`` is what the database is told with the commit.

    ``works`` are the work folders; ``emptied`` the folders to be removed at the end if they are empty, deepest first.
    """

    name: str
    works: tuple[Path, ...]
    steps: tuple[Step, ...]
    emptied: tuple[bytes, ...] = ()
    scripts: tuple[Script, ...] = ()

    def digest(self, before: str) -> str:
        """A name that no earlier transaction of a root has when ``before`` is that of its last one.

        It depends on what is done only, so that roots that are made in the same way are the same.
        """
        return hashlib.sha256(before.encode() + dataclasses.replace(self, works=()).to_json()).hexdigest()

    def to_json(self) -> bytes:
        """The document."""
        table = FolderTable()
        rows = [to_row(step, table) for step in self.steps]
        document = {
            "format": FORMAT,
            "name": self.name,
            "places": [os.fspath(work) for work in self.works],
            "folders": table.folders,
            "steps": rows,
            "emptied": [os.fsdecode(path) for path in self.emptied],
            "finalizers": [dataclasses.astuple(script) for script in self.scripts],
        }
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Journal:
        """Reads the document. FarmError ``bad-journal``."""
        data = json.loads(content)
        if data["format"] != FORMAT:
            raise error(
                "bad-journal", "a transaction was begun by another version of farm", hint="end it with that one"
            )
        table = FolderTable(data["folders"])
        return cls(
            data["name"],
            tuple(Path(place) for place in data["places"]),
            tuple(from_row(row, table) for row in data["steps"]),
            tuple(os.fsencode(path) for path in data["emptied"]),
            tuple(Script(one, when, tuple(shell), tuple(texts)) for one, when, shell, texts in data["finalizers"]),
        )


class TransactionFolder:
    """``<database_path>/transaction``: `docs/transactions.md` says what is in it."""

    def __init__(self, config: ClientConfig) -> None:
        self.path = config.database_path / "transaction"

    @property
    def journal(self) -> Path:
        """The journal; it is there only while the root is changed."""
        return self.path / "journal"

    def begin(self) -> None:
        """Makes the folder."""
        self.path.mkdir(mode=0o700, parents=True)

    def note_works(self, works: Sequence[Path]) -> None:
        """Remembers all work folders, before they are made."""
        self._write("places", json.dumps([os.fspath(work) for work in works]).encode())

    def write(self, journal: Journal) -> None:
        """Puts the journal on the disk."""
        self._write("journal", journal.to_json())

    def read(self) -> Journal | None:
        """The journal of a transaction that did not end. FarmError ``bad-journal``."""
        try:
            content = self.journal.read_bytes()
        except FileNotFoundError:
            return None
        try:
            return Journal.from_json(content)
        except (ValueError, KeyError, TypeError, IndexError) as fault:
            hint = f"look into {self.path}, put the files of `old` back by hand if they are missing, and remove it"
            raise error("bad-journal", f"{self.journal} cannot be read: {fault}", hint=hint) from fault

    def begin_script(self, number: int) -> None:
        """Notes that a finalizer is started now."""
        with open(self.path / "ran", "a") as file:
            file.write(f"{number}\n")

    def begun_scripts(self) -> set[int]:
        """The numbers of the finalizers that were started."""
        try:
            return {int(line) for line in (self.path / "ran").read_text().split()}
        except FileNotFoundError:
            return set()

    def end(self) -> None:
        """Removes everything, the journal first."""
        if self.journal.exists():
            self.journal.unlink()
            _sync(self.path)
        for work in self._works():
            if work != self.path:
                remove_tree(work)
        remove_tree(self.path)

    def _works(self) -> list[Path]:
        try:
            return [Path(text) for text in json.loads((self.path / "places").read_bytes())]
        except FileNotFoundError:
            return []

    def _write(self, name: str, content: bytes) -> None:
        new = self.path / f"{name}.new"
        with open(new, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self.path / name)
        _sync(self.path)


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
