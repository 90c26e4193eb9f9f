# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said at the end of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from farm.cli.deliver import Delivered
from farm.cli.show import duration, plural, printable, shortened, size, table, why
from farm.engine.summary import Failed, Summary, summary_to_json
from farm.plan.job import Job
from farm.plan.node import Plan

SHOWN = 25
"""How many packages are listed at the most."""

FAILURES = 10
"""How many failures are told in full."""

TAIL = 20
"""How many last lines of a failed job's log are shown."""


def report(plan: Plan, summary: Summary, packages: Sequence[Delivered], store: str) -> None:
    """Failures, then packages, then one line of figures. ``store``: options that name the store, or nothing."""
    for failed in summary.failures[:FAILURES]:
        _failure(plan, failed, store)
    if rest := summary.failures[FAILURES:]:
        click.echo(f"and {plural(len(rest), 'more failure')}: {', '.join(failed.node for failed in rest[:SHOWN])}")
    _blocked(plan, summary)
    if plan.unplanned:
        named = ", ".join(plan.unplanned[:5]) + (", …" if len(plan.unplanned) > 5 else "")
        click.echo(f"{plural(len(plan.unplanned), 'target')} cannot be built because of the errors above: {named}")
    rows = [[f"  {p.package}", size(p.size), p.sha256[:16], str(p.file)] for p in packages[:SHOWN]]
    if rows:
        click.echo(f"{plural(len(packages), 'package')}:\n{table(rows)}")
    if len(packages) > SHOWN:
        click.echo(f"  and {len(packages) - SHOWN} more")
    if plan.targets or not plan.unplanned:
        click.echo(_figures(summary))


def report_json(plan: Plan, summary: Summary, packages: Sequence[Delivered]) -> None:
    """The same as one JSON line, the last of the event stream."""
    listed = [{"package": p.package, "file": str(p.file), "sha256": p.sha256, "size": p.size} for p in packages]
    unplanned = {"problems": [problem.to_json() for problem in plan.problems], "unplanned": list(plan.unplanned)}
    click.echo(json.dumps({"event": "summary", **summary_to_json(summary), "packages": listed, **unplanned}))


def _figures(summary: Summary) -> str:
    colour = {"ok": "green", "cancelled": "yellow"}.get(summary.outcome, "red")
    figures = ", ".join(f"{count} {word}" for word, count in summary.counts.items() if count) or "nothing to do"
    if summary.made:
        figures += f"; {summary.cached:.0%} from the cache"
    outcome = click.style(summary.outcome, fg=colour, bold=True)
    return f"{outcome} in {duration(summary.wall)} (cpu {duration(summary.cpu)}): {figures}"


def _failure(plan: Plan, failed: Failed, store: str) -> None:
    click.echo(f"{click.style(failed.node, bold=True)}: {click.style(failed.status, fg='red', bold=True)}")
    if failed.failure:
        click.echo(f"  why:   {why(failed.failure)}")
        if step := _step(plan, failed):
            click.echo(f"  step:  {step}")
    for line in failed.tail[-TAIL:]:
        click.echo(f"  | {printable(line)}")
    if failed.log:
        click.echo(f"  log:   {failed.log}")
    if failed.failure and failed.failure.root:
        click.echo(f"  shell: farm shell {failed.node}{store}")


def _step(plan: Plan, failed: Failed) -> str:
    action = plan.nodes[failed.node].action
    if not isinstance(action, Job) or failed.failure is None or failed.failure.command < 0:
        return ""
    return describe_command(action, failed.failure.command)


def describe_command(job: Job, index: int) -> str:
    """`steps 2 of 3: make install`."""
    before = len(job.prelude)
    if index < before:
        return f"prelude {index + 1} of {before}: {shortened(job.prelude[index])}"
    return f"steps {index - before + 1} of {len(job.steps)}: {shortened(job.steps[index - before])}"


def _blocked(plan: Plan, summary: Summary) -> None:
    """For each failure, the packages that could not be made because of it."""
    by_cause: dict[str, dict[str, None]] = {}
    for node, cause in summary.blocked.items():
        package = plan.nodes[node].package or node
        if package != plan.nodes[cause].package:
            by_cause.setdefault(cause, {})[package] = None
    for cause, packages in list(by_cause.items())[:FAILURES]:
        named = ", ".join(list(packages)[:3]) + (f" and {len(packages) - 3} more" if len(packages) > 3 else "")
        click.echo(f"blocked by {cause}: {named}")
