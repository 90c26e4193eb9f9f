# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PTH116
# (names are bytes, which pathlib cannot hold)
"""A folder tree reached from its top by descriptors alone: no link is followed, so nothing can lead out of it."""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from pathlib import Path
from types import TracebackType

from farm.spec.problem import error

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READABLE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN = 128


def split(path: bytes) -> tuple[bytes, bytes]:
    """Folder and name of a relative path."""
    folder, _, name = path.rpartition(b"/")
    return folder, name


def join(folder: bytes, name: bytes) -> bytes:
    """The path of ``name`` in ``folder`` (empty: the top)."""
    return folder + b"/" + name if folder else name


class Area:
    """Paths are relative to ``top``, of bytes, without link, ``.`` or ``..`` in them; empty is the top itself."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self._fds: OrderedDict[bytes, int] = OrderedDict()
        self._top = os.open(top, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Area:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes all descriptors."""
        while self._fds:
            os.close(self._fds.popitem()[1])
        if self._top >= 0:
            os.close(self._top)
            self._top = -1

    def folder(self, path: bytes) -> int:
        """A descriptor (O_PATH) of a folder, good until some other folders were asked for. OSError."""
        if not path:
            return self._top
        fd = self._fds.get(path)
        if fd is not None:
            self._fds.move_to_end(path)
            return fd
        above, name = split(path)
        fd = os.open(name, _FOLDER, dir_fd=self.folder(above))
        self._fds[path] = fd
        if len(self._fds) > _OPEN:
            os.close(self._fds.popitem(last=False)[1])
        return fd

    def forget(self, path: bytes) -> None:
        """Drops what is known of a folder that is moved or removed, and of all below it."""
        below = path + b"/"
        for known in [one for one in self._fds if one == path or one.startswith(below)]:
            os.close(self._fds.pop(known))

    def status(self, path: bytes) -> os.stat_result | None:
        """What lies at ``path``; None for nothing."""
        folder, name = split(path)
        try:
            if not name:
                return os.stat(self._top)
            return os.stat(name, dir_fd=self.folder(folder), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as fault:
            if fault.errno == 40:  # ELOOP: a link among the folders
                return None
            raise

    def readlink(self, path: bytes) -> bytes:
        """Where a link points to."""
        folder, name = split(path)
        return os.readlink(name, dir_fd=self.folder(folder))

    def listing(self, path: bytes) -> dict[bytes, str]:
        """Names in a folder: ``d`` for a folder, ``l`` for a link, ``f`` for all else."""
        fd = os.open(b".", _READABLE, dir_fd=self.folder(path))
        try:
            with os.scandir(fd) as items:
                return {os.fsencode(item.name): _kind(item) for item in items}
        finally:
            os.close(fd)

    def make(self, path: bytes) -> None:
        """Makes a folder and those above it, 0755, where they are not there."""
        if not path:
            return
        folder, name = split(path)
        try:
            os.mkdir(name, 0o755, dir_fd=self.folder(folder))
        except FileNotFoundError:
            self.make(folder)
            os.mkdir(name, 0o755, dir_fd=self.folder(folder))
        except FileExistsError:
            info = self.status(path)
            if info is None or not stat.S_ISDIR(info.st_mode):
                raise error("bad-root", f"{self.show(path)} is no folder") from None

    def open(self, path: bytes) -> int:
        """A descriptor, for reading, of a regular file. OSError."""
        folder, name = split(path)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(name, flags, dir_fd=self.folder(folder))

    def named(self, path: bytes) -> bytes:
        """A name of an entry for calls that take no descriptor, good as long as `folder` of its folder is."""
        folder, name = split(path)
        return b"/proc/self/fd/%d/%s" % (self.folder(folder), name)

    def show(self, path: bytes) -> str:
        """The path for messages."""
        return f"{os.fspath(self.top).rstrip('/')}/{os.fsdecode(path)}"


def _kind(item: os.DirEntry[str]) -> str:
    if item.is_dir(follow_symlinks=False):
        return "d"
    return "l" if item.is_symlink() else "f"
