# SPDX-License-Identifier: GPL-3.0-or-later
"""One line for each thing that happens, for logs and pipes."""

from __future__ import annotations

import time

import click

from farm.cli.screen.board import GOOD, Board
from farm.cli.show import duration, why
from farm.engine.events import (
    Event,
    NodeBlocked,
    NodeFinished,
    NodeRetried,
    NodeStarted,
    NodeWaiting,
    RunEstimated,
    RunStarted,
)


class PlainScreen:
    """Writes lines to standard error. Nodes that the cache has are counted, not listed."""

    def __init__(self) -> None:
        self.board = Board()

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        self.board.tell(event)
        if line := self._line(event):
            clock = time.strftime("%H:%M:%S", time.localtime(event.at))
            click.echo(f"{clock} [{self.board.done}/{self.board.total}] {line}", err=True)

    def close(self) -> None:
        """Nothing to put away."""

    def _line(self, event: Event) -> str:
        match event:
            case RunStarted():
                return f"{event.nodes} nodes, {event.jobs} at a time, runner {event.runner}"
            case RunEstimated():
                expected = f", about {duration(event.expected)}" if event.left else ""
                return f"{event.cached} cached, {event.left} to make{expected}"
            case NodeStarted():
                return f"start   {event.node}"
            case NodeWaiting():
                return f"wait    {event.node}: another farm is making it"
            case NodeRetried():
                return f"retry   {event.node} in {duration(event.delay)}: {event.failure.reason}"
            case NodeBlocked():
                return f"blocked {event.node} by {event.by}"
            case NodeFinished() if event.status == "ok":
                return f"done    {event.node} in {duration(event.wall)}"
            case NodeFinished() if event.status not in (*GOOD, "skipped"):
                reason = why(event.failure) if event.failure else event.status
                return f"{event.status:7} {event.node}: {reason}"
            case _:
                return ""
