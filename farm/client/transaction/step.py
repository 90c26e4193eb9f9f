# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transaction does to a root, as data: one step for each thing that moves."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, Literal, NamedTuple

from farm.store.entry import Entry

Kind = Literal["folder", "add", "replace", "remove", "mode"]


class Attributes(NamedTuple):
    """Of a folder. ``mtime`` in seconds, None: as it comes."""

    mode: int
    uid: int
    gid: int
    mtime: int | None = None
    xattrs: tuple[tuple[str, str], ...] = ()
    """Name and value, in hexadecimal."""

    @classmethod
    def of(cls, entry: Entry, mtime: int | None) -> Attributes:
        """Those that an entry of a package asks for."""
        xattrs = tuple((name, value.hex()) for name, value in sorted(entry.xattrs.items()))
        return cls(entry.mode, entry.uid, entry.gid, mtime, xattrs)


class Step(NamedTuple):
    """``place`` is the number of the work folder, ``target`` a path below the root.

    Of ``add`` and ``replace``, ``source`` is a path below the work folder. Of ``replace`` and ``remove``, ``saved``
    is the number in ``old/`` of what goes. ``after`` and ``before`` belong to ``folder`` and ``mode``.
    """

    kind: Kind
    place: int
    target: bytes
    source: bytes = b""
    saved: int = -1
    after: Attributes | None = None
    before: Attributes | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Script:
    """Commands of a package that run after its files came (``install``) or went (``uninstall``)."""

    package: str
    when: str
    shell: tuple[str, ...]
    commands: tuple[str, ...]


class FolderTable:
    """Paths as the number of their folder and their name: a journal names each folder once."""

    def __init__(self, folders: list[str] | None = None) -> None:
        self.folders: list[str] = folders if folders is not None else []
        self._numbers: dict[bytes, int] = {}

    def put(self, path: bytes) -> tuple[int, str]:
        """Number of the folder, and name."""
        folder, _, name = path.rpartition(b"/")
        number = self._numbers.get(folder)
        if number is None:
            number = self._numbers[folder] = len(self.folders)
            self.folders.append(os.fsdecode(folder))
        return number, os.fsdecode(name)

    def get(self, number: int, name: str) -> bytes:
        """The path."""
        folder = self.folders[number]
        return os.fsencode(f"{folder}/{name}" if folder else name)


def to_row(step: Step, table: FolderTable) -> list[Any]:
    """A step for the journal."""
    row: list[Any] = [step.kind, step.place, *table.put(step.target)]
    if step.kind in ("folder", "mode"):
        return [*row, step.after, step.before]
    return [*row, *(table.put(step.source) if step.source else (-1, "")), step.saved]


def from_row(row: list[Any], table: FolderTable) -> Step:
    """A step of a journal."""
    kind, place, folder, name, *rest = row
    target = table.get(folder, name)
    if kind in ("folder", "mode"):
        after, before = (Attributes(*one) if one is not None else None for one in rest)
        return Step(kind, place, target, after=after, before=before)
    source_folder, source_name, saved = rest
    return Step(kind, place, target, table.get(source_folder, source_name) if source_folder >= 0 else b"", saved)
