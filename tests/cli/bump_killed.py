# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the farm's command line and kills it, as ``kill -9`` does, at the N-th step that others could see.

Steps are renames and removals of files, and starts of git, from the moment on that `farm bump` begins to write. Usage:
bump_killed.py N before|after WORDS… Without that many steps it ends like the farm.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import threading
from typing import Any

import farm.bump.journal as journal
from farm.cli.main import main

NUMBER, WHEN = int(sys.argv[1]), sys.argv[2]
COUNT: list[str] | None = None
LOCK = threading.Lock()


def counted(original: Any, name: str) -> Any:
    """The function, with a kill at the step that is to be the last."""

    def step(*words: Any, **named: Any) -> Any:
        if COUNT is None:
            return original(*words, **named)
        with LOCK:  # some steps are done by several threads
            COUNT.append(name)
            last = len(COUNT) == NUMBER
        if last and WHEN == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return original(*words, **named)
        finally:  # some steps fail as they should: a file that is not there is removed
            if last:
                os.kill(os.getpid(), signal.SIGKILL)

    return step


def begin(self: Any, *words: Any) -> Any:
    """From here on steps count."""
    global COUNT
    COUNT = []
    return BEGIN(self, *words)


BEGIN = journal.TreeJournal.begin
journal.TreeJournal.begin = begin  # type: ignore[method-assign]
pathlib.Path.replace = counted(pathlib.Path.replace, "replace")  # type: ignore[method-assign]
pathlib.Path.unlink = counted(pathlib.Path.unlink, "unlink")  # type: ignore[method-assign]
subprocess.run = counted(subprocess.run, "run")  # type: ignore[assignment]
sys.argv = ["farm", *sys.argv[3:]]
try:
    main()
finally:
    print(f"steps: {len(COUNT or ())}", file=sys.stderr)
