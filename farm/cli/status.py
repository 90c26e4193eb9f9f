# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm status``: what runs now, from any terminal."""

from __future__ import annotations

import shlex
import time

import click

from farm.cli.session import open_journal, store_options
from farm.cli.show import duration, print_json, table
from farm.engine.history import Execution, Run


@click.command()
@store_options
def status(**options: object) -> None:
    """Show what runs now and how the last runs ended."""
    now = time.time()
    with open_journal(options) as journal:
        live, running, past = journal.live_runs(), journal.running(), journal.runs(limit=5)
    if options["json"]:
        print_json({"live": [_plain_run(run) for run in live], "running": [_plain_job(job, now) for job in running]})
        return
    if not live:
        click.echo("nothing runs")
    for run in live:
        click.echo(f"run {run.id} (process {run.pid}) for {duration(now - run.started)}: {shlex.join(run.argv)}")
        jobs = [[f"  {job.node}", duration(now - job.started), str(job.log)] for job in running if job.run == run.id]
        click.echo(table(jobs))
    ended = [run for run in past if run.outcome]
    if ended:
        click.echo("last runs:")
        click.echo(table([[f"  {run.id}", run.outcome, counts(run)] for run in ended]))


def counts(run: Run) -> str:
    """`3 ok, 1 failed`."""
    return ", ".join(f"{count} {word}" for word, count in run.counts.items() if count)


def _plain_run(run: Run) -> dict[str, object]:
    return {"run": run.id, "pid": run.pid, "started": run.started, "argv": list(run.argv), "nodes": run.nodes}


def _plain_job(job: Execution, now: float) -> dict[str, object]:
    place = {"run": job.run, "node": job.node, "package": job.package, "log": str(job.log)}
    return {**place, "started": job.started, "wall": now - job.started}
