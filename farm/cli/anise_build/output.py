# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said while packages are made: the farm's plain lines and, when it is wanted, the log of each job."""

from __future__ import annotations

import shutil
import sys

from farm.cli.screen.plain import PlainScreen
from farm.engine.events import Event, NodeFinished


class Output(PlainScreen):
    """Plain lines. ``live``: when a job has ended, its whole log goes to standard output."""

    def __init__(self, live: bool) -> None:
        super().__init__()
        self._live = live

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        super().__call__(event)
        if self._live and isinstance(event, NodeFinished) and event.kind == "job" and event.log and event.attempt:
            sys.stdout.flush()
            with open(event.log, "rb") as log:
                shutil.copyfileobj(log, sys.stdout.buffer)
            sys.stdout.flush()
