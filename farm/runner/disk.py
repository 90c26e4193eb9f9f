# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps jobs from filling the disk: the same watch for all runners."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

_RESERVE = 1 << 30
_RESERVE_SHARE = 0.05
_MEASURE_SHARE = 20


class DiskGuard:
    """Says when a job has to stop because of disk space.

    The store's file system keeps a reserve of 1 GiB, or 5 % of its size when that is less. A job with a limit of its
    own is measured by walking its upper directory, at most a twentieth of the time.
    """

    def __init__(self, upper: Path, limit: int | None) -> None:
        self._upper = upper
        self._limit = limit
        self._next = time.monotonic()

    def exceeded(self, log_size: int) -> bool:
        """Whether the reserve is touched, or the job and its log need more than they may."""
        space = os.statvfs(self._upper)
        free = space.f_bavail * space.f_frsize
        if free < min(_RESERVE, space.f_blocks * space.f_frsize * _RESERVE_SHARE):
            return True
        now = time.monotonic()
        if self._limit is None or now < self._next:
            return False
        used = disk_use(self._upper) + log_size
        ended = time.monotonic()
        self._next = ended + max(0.5, (ended - now) * _MEASURE_SHARE)
        return used > self._limit


def disk_use(folder: Path) -> int:
    """Bytes that the files below ``folder`` take on disk. What vanishes meanwhile is not counted."""
    total = 0
    pending = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)]
    while pending:
        fd = pending.pop()
        try:
            with os.scandir(fd) as entries:
                total += sum(_use_of(entry.name, fd, pending) for entry in entries)
        except OSError:
            continue
        finally:
            os.close(fd)
    return total


def _use_of(name: str, parent: int, pending: list[int]) -> int:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            pending.append(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent))
    except OSError:
        return 0
    return status.st_blocks * 512
