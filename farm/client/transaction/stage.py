# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PTH108
# (names are bytes, which pathlib cannot hold)
"""Unpacks packages into a work folder, where nothing uses them yet. Hostile and damaged ones are refused here."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from farm.client.subsets import Ignore
from farm.spec.model import PackageId
from farm.spec.problem import FarmError, Problem, error
from farm.store.archive import decompressed, opened, read_ahead
from farm.store.builder import Builder
from farm.store.entry import FILE, FOLDER, HARDLINK, SYMLINK, WHITEOUT, Entry
from farm.store.tarreader import TarReader
from farm.wagon.metadata import Metadata

_INODES_LEFT = 1024
_RESERVE = 64 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Parcel:
    """A package that arrives: its verified tarball, and what of it is left out."""

    id: PackageId
    metadata: Metadata
    tarball: Path
    ignore: Ignore = dataclasses.field(default_factory=Ignore)


class Staged:
    """A package unpacked in ``stage/N``. ``entries``: path → what lies there, folders before their content.

    ``children``: folder → its entries. Folders that the tarball does not mention (``implied``) are among both,
    0755 and root's.
    """

    def __init__(self, parcel: Parcel, number: int) -> None:
        self.parcel = parcel
        self.id = parcel.id
        self.number = number
        self.entries: dict[bytes, Entry] = {}
        self.children: dict[bytes, list[Entry]] = {b"": []}
        self.implied: set[bytes] = set()

    @property
    def folder(self) -> bytes:
        """Where it lies, below the work folder."""
        return b"stage/%d" % self.number

    def complete(self, found: dict[bytes, Entry]) -> None:
        """Takes what was unpacked, and adds the folders that were not mentioned."""
        for path in sorted(found):
            self._add(found[path])

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries.values())

    def links(self) -> Iterator[tuple[bytes, bytes]]:
        """All symbolic links: path and what it says."""
        return ((path, entry.link) for path, entry in self.entries.items() if entry.kind == SYMLINK)

    def _add(self, entry: Entry) -> None:
        path = entry.path
        if path in self.entries:
            return
        self._parent(path).append(entry)
        self.entries[path] = entry
        if entry.kind == FOLDER:
            self.children.setdefault(path, [])

    def _parent(self, path: bytes) -> list[Entry]:
        above = path.rpartition(b"/")[0]
        children = self.children.get(above)
        if children is None:
            self.implied.add(above)
            self._add(Entry(above, FOLDER, 0o755))
            children = self.children[above]
        return children


def stage(parcel: Parcel, number: int, work: Path, *, same_owner: bool = True) -> Staged:
    """Unpacks ``parcel`` into ``work/stage/NUMBER``.

    FarmError ``unsafe-archive``, ``bad-archive``, ``package-incomplete``, ``package-too-large``, ``disk-full``,
    ``unpack-failed``.
    """
    staged = Staged(parcel, number)
    target = work / os.fsdecode(staged.folder)
    wanted: frozenset[bytes] = frozenset()
    with _named(parcel.id):
        while True:
            target.mkdir(parents=True)
            unpacking = _Unpacking(parcel, target, wanted, same_owner)
            if not (missing := unpacking.run()):
                break
            wanted |= missing
            shutil.rmtree(target)
    staged.complete(unpacking.found)
    return staged


class _Unpacking:
    """One pass over a tarball. Files that are left out but have other names that are not (hard links) are told."""

    def __init__(self, parcel: Parcel, target: Path, wanted: frozenset[bytes], same_owner: bool) -> None:
        self.parcel = parcel
        self.target = target
        self.wanted = wanted
        self.owner = None if same_owner else (os.geteuid(), os.getegid())
        self.found: dict[bytes, Entry] = {}
        self.left_out: set[bytes] = set()
        self.missing: set[bytes] = set()
        room = os.statvfs(target)
        self.inodes = room.f_favail - _INODES_LEFT if room.f_files else None
        declared = parcel.metadata.farm.get("installed_size")
        self.allowed = declared if isinstance(declared, int) else None
        self.room = room.f_bavail * room.f_frsize - _RESERVE

    def run(self) -> set[bytes]:
        """Unpacks; what it returns has to be unpacked as well, in another pass."""
        builder = Builder(self.target)
        with opened(self.parcel.tarball) as (head, stream), read_ahead(decompressed(head, stream)) as pieces:
            reader = TarReader(pieces)
            for entry in reader:
                if self._is_taken(entry):
                    self._check(entry)
                    builder.add(entry, reader.content() if entry.kind == FILE else ())
        builder.finish()
        if not self.missing:
            self._check_list()
            for path in self.wanted:
                os.unlink(os.fsencode(self.target) + b"/" + path)
                del self.found[path]
        return self.missing

    def _is_taken(self, entry: Entry) -> bool:
        """Whether the entry is to be unpacked; its names are made plain."""
        entry.path = _plain(entry.path)
        if not entry.path:
            return False
        is_folder = entry.kind == FOLDER
        if entry.kind == HARDLINK:
            entry.link = _plain(entry.link)
        if self.parcel.ignore.matches(entry.path, is_folder) and entry.path not in self.wanted:
            if not is_folder:
                self.left_out.add(entry.path)
            return False
        if entry.kind == HARDLINK and entry.link in self.left_out:
            self.missing.add(entry.link)
            return False
        return True

    def _check(self, entry: Entry) -> None:
        if entry.kind == WHITEOUT:
            raise error("bad-archive", f"{_show(entry.path)} is a device 0/0, which no package can have")
        if self.owner is not None:
            entry.uid, entry.gid = self.owner
        self.found[entry.path] = entry
        if self.inodes is not None and len(self.found) > self.inodes:
            raise error("disk-full", "there is no room for that many files")
        if entry.kind == FILE:
            self._count(entry.size)

    def _count(self, size: int) -> None:
        """Declared sizes are what an entry says before its content; the reader holds it to that."""
        self.room -= size
        if self.allowed is not None:
            self.allowed -= size
            if self.allowed < 0:
                raise error("package-too-large", "it unpacks to more than its wagon declares")
        if self.room < 0:
            hint = "free some space, or point the configuration at a larger file system"
            raise error("disk-full", "it unpacks to more than there is room for", hint=hint)

    def _check_list(self) -> None:
        """Everything that the wagon lists was in the tarball."""
        had = self.found.keys() | self.left_out
        for path in self.parcel.metadata.files:
            if _plain(os.fsencode(path.lstrip("/"))) not in had:
                raise error("package-incomplete", f"the wagon lists {path}, which the tarball does not have")


def _plain(name: bytes) -> bytes:
    """A name without ``./``. FarmError ``unsafe-archive``."""
    if b"/." not in name and b"//" not in name and name[:1] not in (b"/", b"."):
        return name.rstrip(b"/")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts or name.startswith(b"/"):
        raise error("unsafe-archive", f"it has a name that leaves the root: {os.fsdecode(name)}")
    return b"/".join(parts)


@contextlib.contextmanager
def _named(package: PackageId) -> Iterator[None]:
    """Says in every error which package it is about."""
    try:
        yield
    except FarmError as failure:
        raise FarmError(_with_package(failure, package), transient=False) from failure
    except OSError as fault:
        full = fault.errno in (errno.ENOSPC, errno.EDQUOT)
        code = "disk-full" if full else "unpack-failed"
        raise error(code, f"{package} cannot be unpacked: {fault.strerror or fault}") from fault


def _with_package(failure: FarmError, package: PackageId) -> Iterator[Problem]:
    for problem in failure.problems:
        hint = "" if problem.hint == "farm gc" else problem.hint
        yield dataclasses.replace(problem, message=f"{package}: {problem.message}", hint=hint, package=str(package))


def _show(path: bytes) -> str:
    return "/" + os.fsdecode(path)
