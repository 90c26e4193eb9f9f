# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host has, and whether it is short of it just now."""

from __future__ import annotations

import os
import re
from pathlib import Path

MEMORY_LIMIT = 10.0
IO_LIMIT = 70.0
"""Percent of the last ten seconds in which *all* work stood still for memory or I/O (``full avg10``)."""

_FULL = re.compile(r"^full avg10=([0-9.]+)", re.MULTILINE)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def memory() -> int:
    """Bytes of memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def under_pressure(folder: Path = Path("/proc/pressure")) -> bool:
    """Whether the host is stalled for memory or I/O. False where the kernel does not tell (no PSI)."""
    return _stalled(folder / "memory") > MEMORY_LIMIT or _stalled(folder / "io") > IO_LIMIT


def _stalled(path: Path) -> float:
    try:
        found = _FULL.search(path.read_text())
    except OSError:
        return 0.0
    return float(found[1]) if found else 0.0
