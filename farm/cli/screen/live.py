# SPDX-License-Identifier: GPL-3.0-or-later
"""The live view of a terminal: what runs, for how long, the tail of its log, how far the run is."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from farm.cli.screen.board import GOOD, Board, Running
from farm.cli.show import duration, printable, why
from farm.engine.events import Event, NodeBlocked, NodeFinished, NodeRetried

TAIL = 2048
"""How many last bytes of a log are read for its last line."""


class LiveScreen:
    """Redraws a few lines at the bottom; what ended scrolls by above them."""

    def __init__(self) -> None:
        self.board = Board()
        self._lock = threading.Lock()
        self._console = Console(stderr=True, highlight=False)
        self._live = Live(get_renderable=self._draw, console=self._console, refresh_per_second=5, transient=True)
        self._live.start()

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        with self._lock:
            self.board.tell(event)
        if line := _line(event):
            self._console.print(line)

    def close(self) -> None:
        """Takes the moving part away."""
        self._live.stop()

    def _draw(self) -> RenderableType:
        now = time.time()
        with self._lock:
            running = sorted(self.board.running.values(), key=lambda r: r.since)
            return Group(*self._jobs(running, now), self._bar(now))

    def _jobs(self, running: list[Running], now: float) -> list[RenderableType]:
        room = max(2, self._console.height // 2 - 2)
        table = Table.grid(padding=(0, 1), expand=True)
        for ratio in (None, None, 1):
            table.add_column(ratio=ratio, no_wrap=True, overflow="ellipsis")
        for job in running[:room]:
            expected = f" of ~{duration(job.expected)}" if job.expected >= 1 else ""
            tail = Text(_last_line(job.log), style="dim")
            table.add_row(Text(job.node, style="cyan"), f"{duration(now - job.since)}{expected}", tail)
        more = len(running) - room
        return [table, Text(f"and {more} more", style="dim")] if more > 0 else [table]

    def _bar(self, now: float) -> RenderableType:
        board = self.board
        bad = sum(count for status, count in board.counts.items() if status not in GOOD)
        words = [f"{board.done}/{board.total}"]
        if cached := board.counts.get("cached", 0):
            words.append(f"{cached} cached")
        if bad:
            words.append(f"[red]{bad} not made[/red]")
        if board.waiting:
            words.append(f"{len(board.waiting)} made by another farm")
        words.append(duration(now - board.started) if board.started else "")
        if left := board.left(now):
            words.append(f"about {duration(left)} left")
        row = Table.grid(padding=(0, 1))
        row.add_row(ProgressBar(total=max(1, board.total), completed=board.done, width=30), ", ".join(words))
        return row


def _line(event: Event) -> str:
    match event:
        case NodeFinished() if event.status == "ok":
            return f"[green]done[/green]    {escape(event.node)} [dim]{duration(event.wall)}[/dim]"
        case NodeFinished() if event.status not in (*GOOD, "skipped"):
            reason = why(event.failure) if event.failure else ""
            return f"[red]{event.status}[/red]  {escape(f'{event.node} {reason}')}"
        case NodeRetried():
            reason = f"{event.node} in {duration(event.delay)}: {event.failure.reason}"
            return f"[yellow]retry[/yellow]   {escape(reason)}"
        case NodeBlocked():
            return f"[yellow]blocked[/yellow] {escape(f'{event.node} by {event.by}')}"
        case _:
            return ""


def _last_line(log: Path) -> str:
    """The last line of a log that has something on it, without control characters."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    last = next((line for line in reversed(lines) if line.strip()), "")
    return printable(last).strip()
