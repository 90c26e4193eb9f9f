# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PTH101, PTH102, PTH106, PTH108, PTH116, PTH211
# (names are bytes, which pathlib cannot hold)
"""Writes entries below a fresh private folder, and nowhere else.

Every parent is a folder that the builder made itself; a path through a link is refused, so nothing can leave
the root whatever the entries say.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from farm.spec.problem import error
from farm.store.entry import (
    BLOCK,
    CHAR,
    FIFO,
    FILE,
    FOLDER,
    NODE,
    OPAQUE,
    SYMLINK,
    WHITEOUT,
    Entry,
    node_value,
)
from farm.store.reach import Reach

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_RESERVE = 64 << 20
_RESERVE_SHARE = 0.05


class Builder:
    """Fills the empty folder ``root``. `finish` must come last. Times later than ``latest`` are clamped to it."""

    def __init__(self, root: Path, latest: int | None = None) -> None:
        self._reach = Reach(root)
        self._latest = latest
        self._kinds: dict[bytes, bytes] = {b"": FOLDER}
        self._folders: dict[bytes, Entry] = {}
        disk = shutil.disk_usage(root)
        self._room = disk.free - min(_RESERVE, int(disk.total * _RESERVE_SHARE))
        self._mask = _umask()
        self._owner = (os.geteuid(), os.getegid()) if os.stat(root).st_gid == os.getegid() else (-1, -1)

    def add(self, entry: Entry, content: Iterable[bytes | memoryview] = ()) -> None:
        """Makes one entry, in place of an earlier one; missing parents are made 0755 0:0.

        FarmError ``unsafe-archive`` for a path through a link, ``disk-full``.
        """
        path = entry.path
        folder, _, name = path.rpartition(b"/")
        if self._kinds.get(folder) != FOLDER:
            self._make_parents(folder)
        target = self._reach.at(folder) + b"/" + name
        if path in self._kinds and self._replaces(path, entry, target):
            return
        self._kinds[path] = entry.kind
        match entry.kind:
            case b"0":
                self._file(target, entry, content)
            case b"5":
                os.mkdir(target, 0o700)
                self._folders[path] = entry
            case b"1":
                self._hardlink(target, entry)
            case b"W":
                os.mknod(target, stat.S_IFCHR, 0)
            case _:
                self._special(target, entry)

    def has(self, path: bytes) -> bytes | None:
        """The kind of what was made at ``path``."""
        return self._kinds.get(path)

    def folder(self, path: bytes) -> None:
        """Makes a folder and its parents unless they are there."""
        if self._kinds.get(path) != FOLDER:
            self._make_parents(path)

    def opaque(self, path: bytes) -> None:
        """Makes the folder ``path`` hide those of the same path in layers below."""
        self.folder(path)
        os.setxattr(self._reach.at(path), OPAQUE, b"y")

    def finish(self) -> None:
        """Gives all folders their owner, mode and time."""
        for path in reversed(list(self._folders)):
            entry = self._folders[path]
            target = self._reach.at(path)
            os.chown(target, entry.uid, entry.gid)
            os.chmod(target, entry.mode)
            for name, value in entry.xattrs.items():
                os.setxattr(target, name, value)
            time = self._time(entry)
            os.utime(target, ns=(time, time))
        self._reach.close()

    def _file(self, target: bytes, entry: Entry, content: Iterable[bytes | memoryview]) -> None:
        mode = entry.mode
        fd = os.open(target, _NEW, mode & 0o777)
        try:
            for piece in content:
                self._room -= len(piece)
                if self._room < 0:
                    raise disk_full(entry.path)
                while (done := os.write(fd, piece)) < len(piece):
                    piece = piece[done:]
            if (entry.uid, entry.gid) != self._owner:
                os.fchown(fd, entry.uid, entry.gid)
            if mode != mode & 0o777 & ~self._mask:
                os.fchmod(fd, mode)
            for name, value in entry.xattrs.items():
                os.setxattr(fd, name, value)
            time = self._time(entry)
            os.utime(fd, ns=(time, time))
        finally:
            os.close(fd)

    def _hardlink(self, target: bytes, entry: Entry) -> None:
        known = self._kinds.get(entry.link)
        if known is None or known in (FOLDER, WHITEOUT):
            raise error("bad-archive", f"{_show(entry.path)} is a hard link to {_show(entry.link)}, which is no file")
        self._kinds[entry.path] = known
        os.link(self._reach.entry(entry.link), target, follow_symlinks=False)

    def _special(self, target: bytes, entry: Entry) -> None:
        if entry.kind == SYMLINK:
            os.symlink(entry.link, target)
        elif entry.kind == FIFO:
            os.mkfifo(target)
        elif not _make_node(target, entry):
            stand_in = Entry(entry.path, FILE, 0o644, mtime=entry.mtime)
            stand_in.uid, stand_in.gid = entry.uid, entry.gid
            stand_in.xattrs = {**entry.xattrs, NODE: node_value(entry)}
            self._file(target, stand_in, ())
            return
        if entry.kind == SYMLINK and (entry.uid, entry.gid) == self._owner and not entry.xattrs:
            time = self._time(entry)
            os.utime(target, ns=(time, time), follow_symlinks=False)
            return
        os.chown(target, entry.uid, entry.gid, follow_symlinks=False)
        if entry.kind != SYMLINK:
            os.chmod(target, entry.mode)
        for name, value in entry.xattrs.items():
            os.setxattr(target, name, value, follow_symlinks=False)
        time = self._time(entry)
        os.utime(target, ns=(time, time), follow_symlinks=False)

    def _replaces(self, path: bytes, entry: Entry, target: bytes) -> bool:
        """Makes way for ``entry``; True when nothing more is to be done (a folder keeps its content)."""
        if self._kinds[path] != FOLDER:
            os.unlink(target)
            return False
        if entry.kind == FOLDER:
            self._folders[path] = entry
            return True
        try:
            os.rmdir(target)
        except OSError as problem:
            raise error("bad-archive", f"{_show(path)} is a folder with content and something else too") from problem
        self._folders.pop(path, None)
        return False

    def _make_parents(self, path: bytes) -> None:
        missing: list[bytes] = []
        while (kind := self._kinds.get(path)) is None:
            missing.append(path)
            path = path.rpartition(b"/")[0]
        if kind != FOLDER:
            raise error("unsafe-archive", f"something lies below {_show(path)}, which is no folder")
        for folder in reversed(missing):
            self.add(Entry(folder, FOLDER, 0o755, mtime=self._latest or 0))

    def _time(self, entry: Entry) -> int:
        mtime = max(0, entry.mtime if self._latest is None else min(entry.mtime, self._latest))
        return mtime * 1_000_000_000


def disk_full(path: bytes) -> Exception:
    """The error for no room left."""
    return error("disk-full", f"no room on the store's disk for {_show(path)}", hint="farm gc", transient=True)


def _make_node(target: bytes, entry: Entry) -> bool:
    kind = stat.S_IFCHR if entry.kind == CHAR else stat.S_IFBLK
    assert entry.kind in (CHAR, BLOCK)
    try:
        os.mknod(target, kind | 0o600, os.makedev(*entry.rdev))
    except OSError as problem:
        if problem.errno != errno.EPERM:
            raise
        return False
    return True


def _umask() -> int:
    """This process's umask without changing it, as other threads make files too (proc(5))."""
    with open("/proc/self/status") as file:
        found = re.search(r"^Umask:\s*([0-7]+)$", file.read(), re.MULTILINE)
    return int(found[1], 8) if found else 0o777


def _show(path: bytes) -> str:
    return "/" + os.fsdecode(path)
