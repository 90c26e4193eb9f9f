# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm explain``: which field changed since the last build."""

from __future__ import annotations

import click

from farm.cli.plan import reason
from farm.cli.session import Session, plan_options
from farm.cli.show import print_json, print_problems
from farm.engine.forecast import Forecast, forecast


@click.command()
@plan_options
def explain(**options: object) -> None:
    """Say, for each job of the packages TARGETS, whether it would run, and which fields changed."""
    from farm.engine.journal import Journal

    session = Session.of(options)
    made = session.plan()
    print_problems(made.problems)
    wanted = {made.nodes[name].package for name in made.targets}
    with Journal(session.store.root) as journal:
        found = forecast(made, session.store, journal)
    chosen = [entry for name, entry in found.items() if made.nodes[name].package in wanted]
    if session.json:
        print_json([_plain(entry) for entry in chosen])
    else:
        for entry in chosen:
            click.echo("\n".join(_lines(entry, found)))
    raise SystemExit(1 if made.problems else 0)


def _plain(entry: Forecast) -> dict[str, object]:
    changes = [{"field": c.field, "old": c.old, "new": c.new} for c in entry.changes]
    return {"node": entry.node, "fate": entry.fate, "key": entry.key, "changes": changes, "after": list(entry.after)}


def _lines(entry: Forecast, found: dict[str, Forecast]) -> list[str]:
    head = f"{click.style(entry.node, bold=True)}: {entry.fate}"
    if entry.fate == "later":
        return [head, *_causes(entry, found)]
    if entry.fate == "run" and entry.changes:
        return [head, *(f"  {change}" for change in entry.changes)]
    return [f"{head}: {reason(entry)}"]


def _causes(entry: Forecast, found: dict[str, Forecast]) -> list[str]:
    """The nodes at the bottom because of which it waits, each with what changed in it."""
    causes: dict[str, None] = {}
    pending = list(entry.after)
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        if found[name].fate == "later":
            pending += found[name].after
        else:
            causes[name] = None
    return [f"  known after {name} is made ({reason(found[name])})" for name in sorted(causes)]
