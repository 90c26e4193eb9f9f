# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm graph``: what targets need, as DOT, JSON, or a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import click

from farm.cli.session import Session, plan_options
from farm.cli.show import print_problems
from farm.plan.node import Plan

COLOURS = {"Job": "#cfe3ff", "Pack": "#d9f2d0", "Fetch": "#fff1c2", "Seed": "#f3d9fa", "Assemble": "#e6e6e6"}
"""Background by kind of node."""

FORMATS = ["dot", "json", "svg"]
BOX = 26
GAP = 40
PER_CHARACTER = 6.6


@click.command()
@plan_options
@click.option("--format", "form", type=click.Choice(FORMATS), help="Default: as the output's name ends, else dot.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write into a file.")
@click.option("--packages/--nodes", default=True, help="Draw packages (default) or every node.")
def graph(form: str | None, output: Path | None, packages: bool, **options: object) -> None:
    """Print what TARGETS need."""
    plan = Session.of(options).plan()
    print_problems(plan.problems)
    edges, kinds = _by_package(plan) if packages else _by_node(plan)
    suffix = output.suffix.removeprefix(".") if output else ""
    form = form or (suffix if suffix in FORMATS else "json" if options["json"] else "dot")
    text = {"dot": dot, "json": as_json, "svg": svg}[form](edges, kinds)
    if output:
        output.write_text(f"{text}\n")
    else:
        click.echo(text)
    raise SystemExit(1 if plan.problems else 0)


Edges = Mapping[str, Sequence[str]]


def _by_node(plan: Plan) -> tuple[Edges, Mapping[str, str]]:
    edges = {name: node.needs for name, node in plan.nodes.items()}
    return edges, {name: type(node.action).__name__ for name, node in plan.nodes.items()}


def _by_package(plan: Plan) -> tuple[Edges, Mapping[str, str]]:
    """Nodes of one package drawn as one; seeds stay, sources are left out."""
    name_of = {name: node.package or name for name, node in plan.nodes.items() if type(node.action).__name__ != "Fetch"}
    edges: dict[str, dict[str, None]] = {}
    kinds = {}
    for name, shown in name_of.items():
        needs = [name_of[need] for need in plan.nodes[name].needs if need in name_of]
        edges.setdefault(shown, {}).update(dict.fromkeys(need for need in needs if need != shown))
        kinds[shown] = "Job" if plan.nodes[name].package else "Seed"
    return {name: _without_implied(tuple(needs), edges) for name, needs in edges.items()}, kinds


def _without_implied(needs: tuple[str, ...], edges: Mapping[str, Mapping[str, None]]) -> tuple[str, ...]:
    """Without those that another of them needs already: the picture stays readable."""
    implied = {below for need in needs for below in edges[need]}
    return tuple(need for need in needs if need not in implied)


def as_json(edges: Edges, kinds: Mapping[str, str]) -> str:
    """Each node with its kind and needs."""
    nodes = [{"id": name, "kind": kinds[name], "needs": list(needs)} for name, needs in edges.items()]
    return json.dumps({"nodes": nodes}, indent=2, ensure_ascii=False)


def dot(edges: Edges, kinds: Mapping[str, str]) -> str:
    """Graphviz' language."""
    lines = ["digraph farm {", "  rankdir=LR;", '  node [shape=box, style="rounded,filled", fontname="sans-serif"];']
    for name, needs in edges.items():
        lines.append(f"  {_quoted(name)} [fillcolor={_quoted(COLOURS.get(kinds[name], '#ffffff'))}];")
        lines += [f"  {_quoted(need)} -> {_quoted(name)};" for need in needs]
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def svg(edges: Edges, kinds: Mapping[str, str]) -> str:
    """A picture: one column for each level, what is needed on the left."""
    columns = _columns(edges)
    places: dict[str, tuple[float, float, float]] = {}
    x = float(GAP)
    for column in columns:
        width = max(len(name) for name in column) * PER_CHARACTER + 20
        for row, name in enumerate(column):
            places[name] = (x, GAP + row * (BOX + 12), width)
        x += width + 2 * GAP
    height = max((y for _, y, _ in places.values()), default=0) + BOX + GAP
    lines = [_curve(places[need], places[name]) for name, needs in edges.items() for need in needs]
    boxes = [_box(name, places[name], COLOURS.get(kinds[name], "#ffffff")) for name in edges]
    sizes = f'width="{x:.0f}" height="{height:.0f}" font-family="sans-serif" font-size="11"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {sizes}>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *lines, *boxes, "</svg>"])


def _columns(edges: Edges) -> list[list[str]]:
    """Names by level; in each, near the middle of what they need."""
    level: dict[str, int] = {}
    for name in edges:
        pending = [name]
        while pending:
            top = pending[-1]
            missing = [need for need in edges[top] if need not in level]
            if missing and top not in level:
                pending += missing
                continue
            level[top] = 1 + max((level[need] for need in edges[top]), default=-1)
            pending.pop()
    columns: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for name in edges:
        columns[level[name]].append(name)
    rows: dict[str, float] = {}
    for column in columns:
        column.sort(key=lambda n: (sum(rows[need] for need in edges[n]) / max(1, len(edges[n])), n))
        rows.update({name: row for row, name in enumerate(column)})
    return columns


def _curve(start: tuple[float, float, float], end: tuple[float, float, float]) -> str:
    x1, y1, x2, y2 = start[0] + start[2], start[1] + BOX / 2, end[0], end[1] + BOX / 2
    middle = (x1 + x2) / 2
    path = f"M{x1:.0f},{y1:.0f} C{middle:.0f},{y1:.0f} {middle:.0f},{y2:.0f} {x2:.0f},{y2:.0f}"
    return f'<path d="{path}" fill="none" stroke="#888888"/>'


def _box(name: str, place: tuple[float, float, float], colour: str) -> str:
    x, y, width = place
    rect = f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX}" rx="5" fill="{colour}" stroke="#555555"/>'
    return f'{rect}<text x="{x + width / 2:.0f}" y="{y + BOX / 2 + 4:.0f}" text-anchor="middle">{escape(name)}</text>'
