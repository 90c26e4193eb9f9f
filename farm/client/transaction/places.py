# SPDX-License-Identifier: GPL-3.0-or-later
# (names are bytes, which pathlib cannot hold)
"""Work folders: one wherever a rename into a part of the root has to come from."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from farm.client.transaction.area import Area, split
from farm.store.removal import mounts_below

NAME = ".farm-transaction"
"""Name of a work folder that is not the transaction's own."""

OLD, STAGE = "old", "stage"

Note = Callable[[Sequence[Path]], None]
Where = tuple[int, str]
"""Device number and mount point."""


class Places:
    """Finds, and makes, the work folder for each folder of ``root``. Number 0 is the one for the root's top.

    ``transaction`` is the transaction's own folder, which is used when it lies where the root's top does. ``note`` is
    called with the list of all work folders before one of them is made.
    """

    def __init__(self, root: Area, transaction: Path, note: Note) -> None:
        self._root = root
        self._note = note
        top = root.top.resolve()
        points = sorted(mounts_below(Path("/")), key=len, reverse=True)
        self._points = points
        self._base = os.fspath(top)
        self._wheres: dict[bytes, int] = {}
        self._numbers: dict[Where, int] = {}
        self.works: list[Path] = []
        own = self._where(b"")
        at_root = (os.stat(transaction).st_dev, self._mount(os.fspath(transaction.resolve())))  # noqa: PTH116
        self._new(own, transaction if at_root == own else root.top / NAME)

    def number(self, folder: bytes) -> int:
        """Of the work folder for what lies in a folder (real path) of the root, which may not be there yet."""
        found = self._wheres.get(folder)
        if found is None:
            found = self._find(folder)
            self._wheres[folder] = found
        return found

    def _find(self, folder: bytes) -> int:
        if folder and self._root.status(folder) is None:
            return self.number(split(folder)[0])
        where = self._where(folder)
        if where not in self._numbers:
            top = folder
            while top and self._where(split(top)[0]) == where:
                top = split(top)[0]
            self._new(where, self._root.top / os.fsdecode(top) / NAME)
        return self._numbers[where]

    def _new(self, where: Where, work: Path) -> None:
        self._numbers[where] = len(self.works)
        self.works.append(work)
        self._note(self.works)
        work.mkdir(0o700, exist_ok=True)
        for name in (OLD, STAGE):
            (work / name).mkdir(0o700, exist_ok=True)

    def _where(self, folder: bytes) -> Where:
        info = self._root.status(folder)
        assert info is not None
        return info.st_dev, self._mount(f"{self._base.rstrip('/')}/{os.fsdecode(folder)}".rstrip("/") or "/")

    def _mount(self, path: str) -> str:
        return next((point for point in self._points if path == point or path.startswith(point.rstrip("/") + "/")), "/")
