# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown while a metro job runs, as mark-devkit shows it: each hook, and all that it writes; and at its end."""

from __future__ import annotations

import contextlib
import sys
import threading
from pathlib import Path

import click

from farm.cli.metrodata import output_of
from farm.cli.show import duration, printable, size, why
from farm.engine.events import Event, NodeBlocked, NodeFinished, NodeRetried, NodeStarted
from farm.engine.summary import Failed, Summary
from farm.stage.metro.run import Ready

_TICK = 0.1
_GOOD = ("ok", "cached")
_TAIL = 20


class HookScreen:
    """Tells of each node on standard error. Without ``quiet``, what hooks write goes to standard output meanwhile."""

    def __init__(self, prepared: Ready, *, quiet: bool) -> None:
        self._hooks = prepared.planned.hooks
        self._quiet = quiet
        self._follower: _Follower | None = None

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        match event:
            case NodeStarted():
                click.echo(f">>> {self._name(event.node)}", err=True)
                if not self._quiet and event.node in self._hooks:
                    self._follower = _Follower(event.log)
            case NodeRetried():
                self.close()
                click.echo(f"again in {duration(event.delay)}: {event.failure.reason}", err=True)
            case NodeBlocked():
                pass
            case NodeFinished():
                self.close()
                if event.status == "cached":
                    click.echo(f">>> {self._name(event.node)}: done before", err=True)

    def close(self) -> None:
        """Writes the rest of what a hook wrote."""
        if self._follower:
            self._follower.close()
            self._follower = None

    def _name(self, node: str) -> str:
        if hook := self._hooks.get(node):
            return f"Running hook {hook.name} ({hook.type})"
        return {"download": "Fetching the source", "source": "Making the root", "tarball": "Creating the tarball"}.get(
            node.rpartition(":")[2], "Putting the tarball into its place"
        )


class _Follower:
    """Copies a growing log to standard output, to its end when it is closed."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follow", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        with contextlib.suppress(OSError), self._log.open("rb") as file:  # nobody may read any more
            while True:
                ended = self._ended.wait(_TICK)
                while piece := file.read(1 << 16):
                    sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
                if ended:
                    return


def report(prepared: Ready, summary: Summary, store: str, *, quiet: bool) -> None:
    """The end of a run for a person. ``store``: options that name the store, or nothing."""
    for failed in summary.failures:
        _failure(prepared, failed, store, quiet)
    if summary.outcome == "ok":
        if output := output_of(prepared, summary.made):
            click.echo(f"{output['file']}  {size(output['size'])}  sha256 {output['sha256']}", err=True)
        click.echo(f"Job {prepared.job.name} completed in {duration(summary.wall)}.", err=True)
    else:
        click.echo("The next run goes on from the last step that was finished.", err=True)


def describe(prepared: Ready, failed: Failed) -> str:
    """Which hook failed, and at which of its commands."""
    hook = prepared.planned.hooks.get(failed.node)
    reason = why(failed.failure) if failed.failure else failed.status
    if hook is None:
        return f"{failed.node}: {reason}"
    number = failed.failure.command if failed.failure else -1
    if not 0 <= number < len(hook.commands):
        return f"hook {hook.name} ({hook.type}): {reason}"
    command = " ".join(printable(hook.commands[number]).split())[:100]
    return f"hook {hook.name} ({hook.type}), command {number + 1} of {len(hook.commands)}: {reason}: {command}"


def _failure(prepared: Ready, failed: Failed, store: str, quiet: bool) -> None:
    click.echo(click.style(describe(prepared, failed), fg="red"), err=True)
    if hook := prepared.planned.hooks.get(failed.node):
        click.echo(f"  in:    {hook.place}", err=True)
    if quiet or failed.node not in prepared.planned.hooks:
        for line in failed.tail[-_TAIL:]:
            click.echo(f"  | {printable(line)}", err=True)
    if failed.log:
        click.echo(f"  log:   {failed.log}", err=True)
    if failed.failure and failed.failure.root:
        click.echo(f"  shell: farm shell {failed.node}{store}", err=True)
