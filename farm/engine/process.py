# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognises a process for good: a process id alone may be somebody else's by now."""

from __future__ import annotations

import os
from pathlib import Path


def birth(pid: int) -> str:
    """Boot id and start time (clock ticks, field 22 of ``/proc/PID/stat``, proc(5)); "" if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    state, *fields = stat[stat.rindex(b")") + 2 :].split()
    if state in (b"Z", b"X"):
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{fields[18].decode()}"


def me() -> tuple[int, str]:
    """This process's id and birth."""
    return os.getpid(), birth(os.getpid())


def alive(pid: int, born: str) -> bool:
    """Whether the process that had this id and birth still runs."""
    return bool(born) and birth(pid) == born
