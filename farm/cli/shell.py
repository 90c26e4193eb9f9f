# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm shell``: a look around where a job failed."""

from __future__ import annotations

import sys

import click

from farm.cli.report import describe_command
from farm.cli.session import open_journal, open_store, store_options
from farm.plan.reading import job_of
from farm.runner.rootless import ensure_privileges


@click.command()
@click.argument("job")
@click.argument("command", nargs=-1)
@store_options
def shell(job: str, command: tuple[str, ...], **options: object) -> None:
    """Open a shell (or run COMMAND) in the root of JOB as it was when the job failed.

    Its environment and working directory are set, and the step that failed is printed.
    """
    from farm.runner.sandbox.shell import enter

    ensure_privileges(sys.argv)
    with open_journal(options) as journal:
        found = journal.latest(job)
    with open_store(options) as store:
        upper = store.failed_root(found.key) if found else None
        document = store.document(found.key) if found else None
        if found is None or upper is None or document is None:
            state = (
                f"{found.node} has no failed root here (its last run: {found.status})"
                if found
                else f"no job {job!r} here"
            )
            raise click.ClickException(f"{state}; `farm history` lists what was run")
        failed = job_of(document)
        if found.failure and found.failure.get("command", -1) >= 0:
            click.echo(f"{found.node}: failed at {describe_command(failed, found.failure['command'])}", err=True)
            click.echo(f"why: {found.failure.get('reason')}; log: {found.log}", err=True)
        raise SystemExit(enter(failed, store, upper, command or ("/bin/sh",)))
