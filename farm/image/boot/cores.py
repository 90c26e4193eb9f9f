# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the threads of an emulator run.

QEMU's processors are threads that stop each other often: a guest that takes a page out of all translation buffers makes
QEMU wake each of them. On one core that is a switch of context; between cores it is an interrupt and a fight for locks.
As batch work (SCHED_BATCH) a thread that is woken does not interrupt the one that woke it (sched(7)), so what
it was woken for is done many at a time.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def share_one_core(process: int) -> None:
    """Has all threads of a process, and those they start, run as batch work on one core out of those that it may use.

    Which core depends on the process's number, so several emulators spread. What the host does not allow is left.
    """
    with contextlib.suppress(OSError):
        cores = sorted(os.sched_getaffinity(process))
        core = cores[process % len(cores)]
        for thread in sorted(int(entry.name) for entry in Path(f"/proc/{process}/task").iterdir()):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(thread, {core})
                os.sched_setscheduler(thread, os.SCHED_BATCH, os.sched_param(0))
