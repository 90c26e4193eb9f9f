# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm history``: past runs, or the executions of one package or job."""

from __future__ import annotations

import shlex
import time

import click

from farm.cli.session import open_journal, store_options
from farm.cli.show import duration, print_json, size, table
from farm.cli.status import counts
from farm.engine.history import Execution, Run


@click.command()
@click.argument("name", required=False)
@click.option("--limit", "-n", type=click.IntRange(1), default=20, show_default=True, help="How many at the most.")
@store_options
def history(name: str | None, limit: int, **options: object) -> None:
    """List past runs; with NAME (a job, or category/name[-version]) its executions."""
    with open_journal(options) as journal:
        runs = [] if name else journal.runs(limit=limit)
        executions = journal.executions(name, limit=limit) if name else []
    if options["json"]:
        print_json([*map(_plain_run, runs), *map(_plain_execution, executions)])
    elif name and not executions:
        raise click.ClickException(f"nothing of the name {name!r} was ever run in this store")
    else:
        click.echo(table([*map(_run_row, runs), *map(_execution_row, executions)]) or "nothing was run yet")


def _run_row(run: Run) -> list[str]:
    took = duration(run.ended - run.started) if run.ended else "-"
    return [run.id, run.outcome or "running", took, counts(run), shlex.join(run.argv[1:])]


def _execution_row(job: Execution) -> list[str]:
    took = duration(job.wall) if job.wall is not None else "-"
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job.started))
    return [when, job.node, job.status, took, f"cpu {duration(job.cpu)}", size(job.memory_peak), job.key[:12]]


def _plain_run(run: Run) -> dict[str, object]:
    ended = {"ended": run.ended, "outcome": run.outcome, "counts": dict(run.counts)}
    return {"run": run.id, "argv": list(run.argv), "started": run.started, **ended}


def _plain_execution(job: Execution) -> dict[str, object]:
    what = {"run": job.run, "node": job.node, "package": job.package, "key": job.key, "attempt": job.attempt}
    usage = {"started": job.started, "ended": job.ended, "cpu": job.cpu, "memory_peak": job.memory_peak}
    return {**what, "status": job.status, "log": str(job.log), "failure": dict(job.failure or {}), **usage}
