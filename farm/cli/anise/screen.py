# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen while a change is carried out: bars on a terminal, else a line for each package that was downloaded."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from farm.client.progress import Progress

_STEPS = {"unpack": "Unpacking", "switch": "Switching files", "finalize": "Finalizing"}


class Screen:
    """A `farm.client.progress.Report`. Used as a context: the bars go at its end."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}
        self._downloaded: set[str] = set()

    def __enter__(self) -> Screen:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, progress: Progress) -> None:
        """Takes one report."""
        if progress.phase in ("output", "recover"):
            click.echo(f"{progress.subject}: {progress.text}" if progress.subject else progress.text)
        elif progress.phase == "download":
            self._download(progress)
        elif self._bars is not None:
            self._advance(progress.phase, _STEPS.get(progress.phase, progress.phase), progress)

    def _download(self, progress: Progress) -> None:
        if self._bars is not None:
            self._advance(progress.subject, f"📦 {progress.subject}", progress)
        elif progress.total and progress.done >= progress.total and progress.subject not in self._downloaded:
            self._downloaded.add(progress.subject)
            click.echo(f"📦 {progress.subject} # downloaded ✔")

    def _advance(self, key: str, text: str, progress: Progress) -> None:
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(text)
        self._bars.update(self._tasks[key], completed=progress.done, total=progress.total or None)
