# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that outlives the farm just long enough to remove its containers and images.

The farm holds the other end of the pipe that is this process's standard input. However the farm ends, the
kernel closes it. A session of its own keeps Ctrl-C away from this process.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from pathlib import Path

from farm.runner.docker.engine import connection
from farm.runner.docker.owner import RUN, remove
from farm.spec.problem import FarmError

ORDERLY = b"done\n"
"""What the farm sends when it has nothing more to ask of the engine."""

_SOURCE = Path(__file__).resolve().parents[3]
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from farm.runner.docker.reap import main; "
_START += "sys.exit(main(sys.argv[1]))"
_FINISH_TIME = 120
_ROUNDS = 5
_PAUSE = 0.3


def start(run: str) -> subprocess.Popen[bytes]:
    """Starts the reaper of a run. Close its ``stdin`` to have everything removed."""
    return subprocess.Popen(
        [sys.executable, "-c", _START, str(_SOURCE), run],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def finish(reaper: subprocess.Popen[bytes]) -> None:
    """Has a reaper remove everything now, and waits for it."""
    with contextlib.suppress(BrokenPipeError, subprocess.TimeoutExpired):
        reaper.communicate(ORDERLY, timeout=_FINISH_TIME)


def main(run: str) -> int:
    """Waits for the end of the farm ``run``, then removes what it left. Returns an exit code."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    orderly = sys.stdin.buffer.read() == ORDERLY
    for turn in range(_ROUNDS):
        # What the farm asked for just before it was killed may come into being only now.
        removed = attempt(run)
        if removed == 0 and (orderly or turn > 0):
            return 0
        time.sleep(_PAUSE)
    return 1


def attempt(run: str) -> int | None:
    """Removes once; None when the engine did not do it."""
    try:
        with connection() as client:
            return remove(client, f"{RUN}={run}")
    except FarmError:
        return None
