# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``farm stage`` shows: planned stages, and how a build of stages ended."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from farm.cli.session import Session
from farm.cli.show import plural, size, table

if TYPE_CHECKING:
    from farm.stage.build import Built, StageBuild


def described(one: Any) -> Iterable[tuple[str, str]]:
    """What a planned stage is made of, in words."""
    stage = one.stage
    yield "release", f"{stage.release.folder}/DATE/{stage.release.stem('DATE')}"
    yield (
        "seed",
        type(stage.seed).__name__.removesuffix("Seed").lower() + (" (root empty)" if stage.root == "empty" else ""),
    )
    for name in one.packages:
        yield "package", name
    for hook in stage.hooks:
        yield "hook", f"{hook.name} ({hook.point}, {hook.where})"
    for check in one.checks:
        yield "check", check
    for output, _ in one.outputs:
        yield "output", output.format


def plan_document(made: StageBuild, found: Mapping[str, Any]) -> dict[str, Any]:
    """The same as plain data, with the forecast of every node."""
    nodes = [{**dataclasses.asdict(f), "result": f.result.to_json() if f.result else None} for f in found.values()]
    stages = [
        {"stage": one.stage.name, "packages": list(one.packages), "targets": list(one.targets)}
        for one in made.planned.stages
    ]
    return {"stages": stages, "nodes": nodes}


def report_build(session: Session, made: StageBuild, built: Built) -> None:
    """How a build of stages ended: what was given out, what is as it was, what failed."""
    if session.json:
        from farm.engine.summary import summary_to_json

        published = [
            {"stage": one.stage, "version": one.version, "folder": str(one.folder), "new": one.new,
             "outputs": [output.to_json() for output in one.outputs]}
            for one in built.published
        ]  # fmt: skip
        more = {"published": published, "unchanged": dict(built.unchanged), "failed": dict(built.failed)}
        click.echo(json.dumps({"event": "summary", **summary_to_json(built.summary), **more}))
        return
    from farm.cli.report import report

    report(made.planned.plan, built.summary, [], session.store_option())
    rows = [
        [f"  {one.stage}", size(output.size), output.sha256[:16], str(output.file)]
        for one in built.published
        for output in one.outputs
    ]
    if rows:
        click.echo(f"{plural(len(built.published), 'stage')}:\n{table(rows)}")
    for name, version in built.unchanged.items():
        click.echo(f"  {name}: the same as {version}")
    for name, reason in built.failed.items():
        click.echo(f"  {name}: {click.style('not made', fg='red')} ({reason})")
