# SPDX-License-Identifier: GPL-3.0-or-later
"""What one process holds of a store while it lives: its private folder, its pins, its locks.

A session is a file ``sessions/ID`` that its process keeps locked (flock(2)); the kernel frees it however the
process ends. Whoever can lock it knows that its owner is dead and may remove what it left.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from farm.store.removal import remove_tree

Pin = tuple[str, str]
"""Kind (``layer`` or ``blob``) and digest."""


DYING = 2.0
"""Seconds in which the last child of a process that was killed may still hold what its parent had locked: it was
forked, and had not closed it yet. Who would refuse to work for a lock waits that long."""


def lock_file(fd: int, kind: int, wait: bool | float) -> None:
    """flock(2) that waits for ever (True), not at all (False), or some seconds. BlockingIOError when it is not had."""
    if wait is True:
        fcntl.flock(fd, kind)
        return
    end = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
        time.sleep(0.02)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool | float = True, shared: bool = False) -> Iterator[bool]:
    """Holds the lock file ``path``; yields whether it was had. ``wait``: for ever, not at all, or some seconds.

    A lock file that `sweep` unlinked between opening and locking it is opened anew.
    """
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            lock_file(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, wait)
            if os.fstat(fd).st_nlink:
                yield True
                return
        except BlockingIOError:
            yield False
            return
        finally:
            os.close(fd)


class Session:
    """This process's session. Made when it is first needed; `close` removes all of it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._mutex = threading.Lock()
        self._numbers = itertools.count()
        self._pinned: set[Pin] = set()
        self._fd: int | None = None
        self.id = f"{os.getpid()}-{os.urandom(6).hex()}"

    def folder(self, prefix: str) -> Path:
        """A new, empty private folder on the store's file system."""
        self._open()
        path = self._root / "tmp" / self.id / f"{prefix}-{next(self._numbers)}"
        path.mkdir(mode=0o700)
        return path

    def file(self) -> Path:
        """A name for a new private file on the store's file system."""
        self._open()
        return self._root / "tmp" / self.id / f"file-{next(self._numbers)}"

    def pin(self, pins: Iterable[Pin]) -> None:
        """Keeps these objects from garbage collection as long as this process lives.

        Must come *before* the look whether they exist: the shared lock orders it against a collection.
        """
        new = set(pins) - self._pinned
        if not new:
            return
        fd = self._open()
        with locked(self._root / "locks" / "gc", shared=True):
            os.write(fd, "".join(f"{kind} {digest}\n" for kind, digest in sorted(new)).encode())
            self._pinned |= new

    def close(self) -> None:
        """Removes the private folder and the pins."""
        with self._mutex:
            if self._fd is not None:
                remove_tree(self._root / "tmp" / self.id)
                (self._root / "sessions" / self.id).unlink(missing_ok=True)
                os.close(self._fd)
                self._fd = None

    def _open(self) -> int:
        with self._mutex:
            while self._fd is None:
                path = self._root / "sessions" / self.id
                fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
                fcntl.flock(fd, fcntl.LOCK_EX)
                if not os.fstat(fd).st_nlink:
                    os.close(fd)
                    continue
                (self._root / "tmp" / self.id).mkdir(mode=0o700)
                self._fd = fd
            return self._fd


def pins(root: Path) -> set[Pin]:
    """What live processes hold. Call with the lock ``locks/gc`` held."""
    held: set[Pin] = set()
    for path in (root / "sessions").iterdir():
        with locked_or_gone(path) as dead:
            if not dead:
                held |= {(kind, digest) for kind, digest in _lines(path)}
    return held


def sweep(root: Path) -> int:
    """Removes what dead processes left behind; returns the number of things removed."""
    removed = 0
    for path in (root / "sessions").iterdir():
        with locked_or_gone(path) as dead:
            if dead:
                remove_tree(root / "tmp" / path.name)
                path.unlink(missing_ok=True)
                removed += 1
    alive = {path.name for path in (root / "sessions").iterdir()}
    for path in (root / "tmp").iterdir():
        if path.name not in alive and not (root / "sessions" / path.name).exists():
            remove_tree(path)
            removed += 1
    return removed


@contextlib.contextmanager
def locked_or_gone(path: Path) -> Iterator[bool]:
    """Yields whether the session file's owner is dead, and if so keeps others from using the file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(fd).st_nlink > 0
    except BlockingIOError:
        yield False
    finally:
        os.close(fd)


def lock_name(name: str) -> str:
    """A file name for a lock's name."""
    return re.sub(r"[^A-Za-z0-9_.+-]", "_", name)[:200]


def _lines(path: Path) -> Iterator[Pin]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return
    for line in text.splitlines():
        kind, _, digest = line.partition(" ")
        yield kind, digest
