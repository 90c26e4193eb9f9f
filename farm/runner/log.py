# SPDX-License-Identifier: GPL-3.0-or-later
"""The one log pump: bytes from a job to its log file, all of them and nothing else."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

CHUNK = 1 << 20
"""Bytes read and written at once; also the size asked for pipes."""


class Log:
    """A job's log file, appended to. Knows how much was written and when the job last said something."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self.size = 0
        self.spoke()

    def write(self, data: bytes) -> None:
        """Appends ``data``, whole. Raises OSError, a full disk for example."""
        rest = memoryview(data)
        self.spoke()
        while rest:
            written = os.write(self._fd, rest)
            self.size += written
            rest = rest[written:]

    def spoke(self) -> None:
        """Counts as output for `silence`, without any."""
        self._last = time.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since the last output."""
        return time.monotonic() - self._last

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Log:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self.close()


class Pump:
    """Moves what comes out of a pipe or socket ``fd``, which it owns, into a log."""

    def __init__(self, fd: int, log: Log) -> None:
        self.fd = fd
        self.log = log
        self.ended = False
        os.set_blocking(fd, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, CHUNK)

    def step(self) -> bool:
        """Moves one chunk if there is one. False: nothing there now, or (``ended``) never again."""
        if self.ended:
            return False
        try:
            data = os.read(self.fd, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self.ended = True
            return False
        self.log.write(data)
        return True

    def drain(self) -> None:
        """Moves all that is there, without waiting for more. After the last writer's death that is the rest."""
        while self.step():
            pass

    def close(self) -> None:
        """Closes the pipe; a second time does nothing."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
            self.ended = True
