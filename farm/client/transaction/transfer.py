# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies what was unpacked to the work folder of another mount, from where it can be renamed into its place."""

from __future__ import annotations

import os

from farm.client.transaction.places import STAGE, Places
from farm.store.builder import Builder
from farm.store.entry import FILE, HARDLINK, chunks, examine

_FOLDER = "moved"


class Transfer:
    """Keeps all metadata; files that have several names keep those that go to the same place."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._builders: dict[int, Builder] = {}
        self._first: dict[tuple[int, tuple[int, int]], bytes] = {}
        self._count = 0

    def copy(self, place: int, source: bytes, path: bytes) -> bytes:
        """The path, below the work folder ``place``, of the copy of ``source``, a path below the work folder 0."""
        entry = examine(os.fsencode(self._places.works[0]) + b"/" + source, path)
        assert entry is not None, "no archive has a socket"
        self._count += 1
        entry.path = b"%d" % self._count
        if entry.inode is not None:
            known = self._first.setdefault((place, entry.inode), entry.path)
            if known != entry.path:
                entry.kind, entry.link = HARDLINK, known
        self._builder(place).add(entry, chunks(entry) if entry.kind == FILE else ())
        return f"{STAGE}/{_FOLDER}/".encode() + entry.path

    def finish(self) -> None:
        """Must come last."""
        for builder in self._builders.values():
            builder.finish()

    def _builder(self, place: int) -> Builder:
        builder = self._builders.get(place)
        if builder is None:
            folder = self._places.works[place] / STAGE / _FOLDER
            folder.mkdir()
            builder = self._builders[place] = Builder(folder)
        return builder
