# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``farm bump`` says at its end."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from farm.cli.bumping import Outcome
from farm.cli.session import Session
from farm.cli.show import plural, print_json, print_problems, why


def report(outcome: Outcome, session: Session) -> None:
    """For people, or as one JSON document."""
    if session.json:
        print_json(_document(outcome))
        return
    if outcome.dry_run:
        click.echo(outcome.diff, nl=False)
    for move in outcome.prepared.moves:
        click.echo(f"{move}  ({move.reason}{f' {move.because}' if move.because else ''})")
    _say_plan(outcome, session)
    print_problems(outcome.problems)
    print_problems(outcome.plan.problems)
    for name in outcome.held:
        click.echo(f"held back: {name}", err=True)
    _say_failures(outcome)
    click.echo(_last_line(outcome))


def _say_plan(outcome: Outcome, session: Session) -> None:
    if not outcome.dry_run:
        return
    from farm.cli.plan import forecast_lines
    from farm.engine.forecast import forecast
    from farm.engine.journal import Journal

    with Journal(session.store.root) as journal:
        for line in forecast_lines(forecast(outcome.plan, session.store, journal).values(), False):
            click.echo(line)


def _say_failures(outcome: Outcome) -> None:
    for failed in outcome.summary.failures if outcome.summary else ():
        reason = f" ({why(failed.failure)})" if failed.failure else ""
        click.echo(f"{failed.status}: {failed.node}{reason}; farm log {failed.node}", err=True)


def _last_line(outcome: Outcome) -> str:
    moved = plural(len(outcome.prepared.moves), "package")
    if outcome.dry_run:
        return f"would move {moved}; nothing was changed"
    if outcome.status == 130:
        return "cancelled; nothing was changed"
    if outcome.plan.problems or (outcome.summary and outcome.summary.outcome != "ok"):
        return "not all could be built; nothing was changed"
    parts = [f"{moved} moved" if outcome.prepared.moves else "nothing moved"]
    if outcome.summary and outcome.prepared.targets:
        parts.append(f"{plural(len(outcome.prepared.targets), 'package')} made")
    if outcome.created:
        state = "" if outcome.created.changed else "unchanged at "
        parts.append(f"wagon {state}revision {outcome.created.repository.revision}")
    parts += [f"commit {commit[:12]}" for commit in outcome.commits]
    return ", ".join(parts)


def _document(outcome: Outcome) -> dict[str, Any]:
    moves = [
        {"package": move.old.atom, "from": move.old.version, "to": move.new.version, "reason": move.reason,
         "because": move.because or None} for move in outcome.prepared.moves
    ]  # fmt: skip
    failures = outcome.summary.failures if outcome.summary else ()
    return {
        "status": outcome.status,
        "dry_run": outcome.dry_run,
        "asked": outcome.asked,
        "moves": moves,
        "diff": outcome.diff,
        "targets": [str(id) for id in outcome.prepared.targets],
        "held": list(outcome.held),
        "written": outcome.written,
        "failures": [
            {"node": f.node, "package": f.package, "status": f.status, "tail": list(f.tail)} for f in failures
        ],
        "run": dataclasses.asdict(outcome.summary)["counts"] if outcome.summary else None,
        "revision": outcome.created.repository.revision if outcome.created else None,
        "changed": outcome.created.changed if outcome.created else False,
        "commits": list(outcome.commits),
        "problems": [problem.to_json() for problem in (*outcome.problems, *outcome.plan.problems)],
    }
