# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm stage``: roots as tarballs and images, made in one graph and given out in the layout of a mirror."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from farm.cli import stagekeep
from farm.cli.session import Session, store_options
from farm.cli.show import print_json
from farm.cli.stageoptions import (
    allow_options,
    build_options,
    layout_of,
    library_of,
    library_options,
    output_option,
    run_options,
    secret_of,
    version_of,
)
from farm.cli.stageshow import described, plan_document, report_build
from farm.runner.rootless import ensure_privileges

if TYPE_CHECKING:
    from farm.engine.making import Makers
    from farm.plan.node import Plan
    from farm.stage.build import StageBuild
    from farm.stage.layout import Layout
    from farm.stage.packages import TreePackages


@click.group()
def stage() -> None:
    """Make, verify, list and prune stages: roots given out as tarballs and images.

    A stage is named by its file: NAME is STAGES/NAME.yaml, or a path.
    """


@stage.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@library_options
@output_option
@build_options
@allow_options
@run_options
@click.option("--version", metavar="DATE", help="The version they are given out as (default: today, in UTC).")
@click.option("--always", is_flag=True, help="Give out a new version also of what did not change.")
@click.option("--key", help="Sign the outputs with this key (`farm key show`).")
@click.option("--load-docker", is_flag=True, help="Load oci outputs that have a name (docker:) into Docker.")
@store_options
def build(names: tuple[str, ...], **options: Any) -> None:
    """Make the stages NAME and give them out.

    The exit status is 0 when all were made, 1 when not, 130 when the run was cancelled.
    """
    ensure_privileges(sys.argv)
    session = Session.of(options)
    key = secret_of(options["key"])
    layout = layout_of(options)
    with session.store:
        made = _prepared(session, names, layout, options)
        run = _runner(session, bool(options["plain"]))
        built = made.give_out(
            made.run(run), run, session.store, _makers(), layout,
            date=version_of(options["version"]), now=time.time(), key=key, always=bool(options["always"]),
        )  # fmt: skip
        if options["load_docker"]:
            made.load_into_docker(built)
    report_build(session, made, built)
    raise SystemExit(130 if built.summary.outcome == "cancelled" else 0 if built.ok else 1)


@stage.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@library_options
@output_option
@build_options
@allow_options
@store_options
@click.option("--verbose", "-v", is_flag=True, help="List cached nodes, too.")
def show(names: tuple[str, ...], verbose: bool, **options: Any) -> None:
    """Show what building the stages NAME would run, in which order, and why."""
    ensure_privileges(sys.argv)
    from farm.cli.plan import forecast_lines
    from farm.engine.forecast import forecast
    from farm.engine.journal import Journal

    session = Session.of(options)
    with session.store:
        made = _prepared(session, names, layout_of(options), options)
        with Journal(session.store.root) as journal:
            found = forecast(made.planned.plan, session.store, journal, _makers())
        if session.json:
            print_json(plan_document(made, found))
            return
        for one in made.planned.stages:
            click.echo(click.style(one.stage.name, bold=True) + f"  {one.stage.description}".rstrip())
            for label, text in described(one):
                click.echo(f"  {label:<9} {text}")
        for line in forecast_lines(found.values(), verbose):
            click.echo(line)


@stage.command()
@click.argument("name")
@click.argument("command", nargs=-1)
@library_options
@output_option
@build_options
@allow_options
@store_options
def shell(name: str, command: tuple[str, ...], **options: Any) -> None:
    """Open a shell (or run COMMAND) in the root of the stage NAME, as it was built last. Changes are thrown away."""
    ensure_privileges(sys.argv)
    from farm.stage.shell import enter_root

    session = Session.of(options)
    with session.store:
        made = _prepared(session, (name,), layout_of(options), options)
        raise SystemExit(enter_root(made.planned, session.store, _makers(), command or ("/bin/sh",)))


for _command in (stagekeep.list_, stagekeep.verify, stagekeep.next_, stagekeep.prune, stagekeep.index):
    stage.add_command(_command)


# What the commands share


def _prepared(session: Session, names: Iterable[str], layout: Layout, options: Mapping[str, Any]) -> StageBuild:
    """The stages, planned. FarmError with all that is wrong."""
    from farm.stage.build import StageBuild, chosen, once
    from farm.stage.plan import Allowed

    stages = chosen(library_of(options), list(names), options["strategy"], layout, only=bool(options["only"]))
    rootfs = session.store.root / "hook-root"
    rootfs.mkdir(exist_ok=True)
    allowed = Allowed(bool(options["allow_host_hooks"]), bool(options["allow_host_binds"]), str(rootfs))
    return StageBuild(stages, _packages(session), allowed, once())


def _packages(session: Session) -> TreePackages:
    from farm.stage.packages import TreePackages

    settings = session.settings
    docker = settings.runner == "docker"
    return TreePackages(settings.store / "trees", plain_is_docker=docker, platforms=session.platforms)


@functools.cache
def _makers() -> Makers:
    """This product's makers, and the client's, which is on another floor."""
    from farm.client.stageroot import WagonRoot
    from farm.engine.making import Once
    from farm.stage.makers import makers
    from farm.stage.seeds import WAGONS

    return {name: Once(maker) for name, maker in {**makers(), WAGONS: WagonRoot()}.items()}


def _runner(session: Session, plain: bool) -> Callable[[Plan], Any]:
    from farm.cli.build import run, screen_of

    return lambda plan: run(session, plan, screen_of(session.json, plain), _makers())
