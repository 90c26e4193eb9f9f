# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm plan``: what a build would run, what is cached, and why."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable

import click

from farm.cli.session import Session, plan_options
from farm.cli.show import plural, print_json, print_problems
from farm.engine.forecast import Forecast, forecast
from farm.plan.node import Node, Plan

COLOURS = {"cached": "green", "run": "yellow", "later": "cyan", "failed": "red"}


@click.command()
@plan_options
@click.option("--verbose", "-v", is_flag=True, help="List cached nodes, too.")
def plan(verbose: bool, **options: object) -> None:
    """Show what building TARGETS would run, what is cached, and why."""
    from farm.engine.journal import Journal
    from farm.engine.platforms import obstacles

    session = Session.of(options)
    made = session.plan()
    with Journal(session.store.root) as journal:
        found = forecast(made, session.store, journal)
        warnings = [dataclasses.replace(p, severity="warning") for p in obstacles(made, session.store, journal)]
    if session.json:
        nodes = [
            {**dataclasses.asdict(f), "result": f.result.to_json() if f.result else None, **_platform(made.nodes[name])}
            for name, f in found.items()
        ]
        problems = [p.to_json() for p in (*made.problems, *warnings)]
        print_json({"targets": list(made.targets), "nodes": nodes, "problems": problems})
    else:
        print_problems((*made.problems, *warnings))
        for line in (*forecast_lines(found.values(), verbose), *_choices(made)):
            click.echo(line)
    raise SystemExit(1 if made.problems else 0)


def forecast_lines(found: Iterable[Forecast], verbose: bool) -> Iterable[str]:
    """A line for each node that is not cached (``verbose``: for all), and one of counts."""
    counts: Counter[str] = Counter()
    for entry in found:
        counts[entry.fate] += 1
        if verbose or entry.fate != "cached":
            word = click.style(entry.fate.ljust(6), fg=COLOURS[entry.fate])
            yield f"{word} {entry.node}  {click.style(reason(entry), dim=True)}"
    yield ", ".join(f"{counts[fate]} {fate}" for fate in COLOURS if counts[fate]) or "nothing to do"


def _platform(node: Node) -> dict[str, object]:
    """How a job is run, where that is not the usual way."""
    return {"platform": dataclasses.asdict(node.choice)} if node.choice else {}


def _choices(plan: Plan) -> Iterable[str]:
    """How jobs for other platforms run, and why: one line for each way."""
    ways = Counter(node.choice for node in plan.nodes.values() if node.choice)
    for choice, count in ways.items():
        where = f"in roots of {choice.root}" if choice.how == "cross" else "under qemu-user"
        how = "native" if choice.how == "native" else f"{choice.how}, {where}"
        yield f"{choice.target}: {plural(count, 'job')} {click.style(how, bold=True)}: {choice.reason}"


def reason(entry: Forecast) -> str:
    """Why a node would have this fate, on one line."""
    match entry.fate:
        case "cached":
            return (entry.key or "")[:12]
        case "failed":
            return "; ".join(problem.message for problem in entry.problems)
        case "later":
            more = f" and {len(entry.after) - 2} more" if len(entry.after) > 2 else ""
            return f"after {', '.join(entry.after[:2])}{more}"
        case _ if entry.last is None:
            return "was never made"
        case _ if not entry.changes:
            return "what it made is no longer in the store"
        case _:
            more = f" (+{len(entry.changes) - 1} more)" if len(entry.changes) > 1 else ""
            return f"{entry.changes[0]}{more}"
