# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings what is unpacked to the disk while more is unpacked, so that little is left to wait for at the end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from pathlib import Path
from types import TracebackType

_AT_ONCE = 48 << 20


class Writeback:
    """Calls `syncfs` on ``folder`` beside the caller, each time some more bytes were written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting = 0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Writeback:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        if self._thread is not None:
            self._thread.join()

    def written(self, size: int) -> None:
        """Takes note of ``size`` more bytes."""
        self._waiting += size
        if self._waiting < _AT_ONCE or (self._thread is not None and self._thread.is_alive()):
            return
        self._waiting = 0
        self._thread = threading.Thread(target=self._work, name="writeback", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        """What goes wrong here goes wrong again at the end, where it is told."""
        with contextlib.suppress(OSError):
            syncfs(self._folder)


def syncfs(path: Path) -> None:
    """Brings all of the file system that holds ``path`` to its disk (syncfs(2)). OSError with what the disk says."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if libc.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(fd)
