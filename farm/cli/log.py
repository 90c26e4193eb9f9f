# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm log``: a job's whole output, also while it runs."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from farm.cli.session import open_journal, store_options
from farm.cli.show import print_json
from farm.engine.history import History


@click.command()
@click.argument("job")
@click.option("--follow", "-f", is_flag=True, help="Go on printing until the job ends.")
@click.option("--path", is_flag=True, help="Print the log's path only.")
@store_options
def log(job: str, follow: bool, path: bool, **options: object) -> None:
    """Print the log of JOB: a job's name, category/name[-version], or the beginning of a key."""
    with open_journal(options) as journal:
        found = journal.latest(job)
        if found is None:
            raise click.ClickException(f"nothing of the name {job!r} was ever run in this store; see `farm history`")
        if options["json"]:
            print_json({"node": found.node, "run": found.run, "status": found.status, "log": str(found.log)})
        elif path:
            click.echo(found.log)
        elif not found.log.exists():
            raise click.ClickException(f"the log {found.log} was removed by a garbage collection")
        else:
            copy_log(found.log, lambda: follow and _runs(journal, job, found.run))


def copy_log(source: Path, alive: Callable[[], bool]) -> None:
    """Copies a log to standard output; goes on while ``alive()`` is true."""
    with source.open("rb") as file:
        while True:
            ends = not alive()
            shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            if ends:
                return
            time.sleep(0.2)


def _runs(journal: History, job: str, run: str) -> bool:
    latest = journal.latest(job)
    return latest is not None and latest.run == run and latest.ended is None
