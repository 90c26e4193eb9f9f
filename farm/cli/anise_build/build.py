# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build build``: makes packages, and puts them and all they were built on into a folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from farm.cli.anise_build.choose import Choice
from farm.cli.anise_build.flags import FOLDER, persistent, without_meaning
from farm.cli.pflag import GoCommand, switch, words

if TYPE_CHECKING:
    from farm.cli.session import Session
    from farm.plan.node import Plan
    from farm.spec.model import PackageId


@click.command("build", cls=GoCommand)
@click.argument("packages", nargs=-1, metavar="[PACKAGE]...")
@words("--tree", "-t", help="A spec tree (default: the working directory).")
@words("--values", help="Value files; later ones win.")
@click.option("--destination", type=FOLDER, default="build", show_default=True, help="Where packages are put.")
@click.option("--compression", default="none", show_default=True, help="none, gzip or zstd.")
@click.option("--backend", default="docker", show_default=True, help="docker, dockerv2, dockerv3 or img.")
@switch("--all", help="All packages.")
@switch("--full", help="All packages.")
@switch("--revdeps", help="Also the packages that are built on those named.")
@switch("--nodeps", help="Put only the named packages into the destination.")
@switch("--only-target-package", help="Put only the named packages into the destination.")
@switch("--onlydeps", help="Only what the named packages are built on.")
@switch("--pretend", help="Only print what packages are built on.")
@switch("--from-repositories", help="Also the trees of the wagons that are configured.")
@switch("--live-output", help="Print the log of each job when it ends.")
@click.option("--output", "-o", default="terminal", help="With --pretend: terminal, json or yaml.")
@without_meaning(
    texts=(
        "--image-repository",
        "--pull-repository -p",
        "--backend-args -a",
        "--solver-type",
        "--solver-rate",
        "--solver-discount",
        "--solver-attempts",
    ),
    switches=("--push", "--pull", "--rebuild", "--wait", "--keep-images", "--privileged", "--solver-concurrent"),
)
@persistent
@click.pass_context
def build(context: click.Context, /, packages: tuple[str, ...], **options: Any) -> None:
    """Make PACKAGES (category/name[@selector]) and put them into a folder, with all they were built on.

    The exit status is 0 when all were made, else 1.
    """
    from farm.cli.anise_build.surroundings import open_session
    from farm.runner.rootless import ensure_privileges

    choice = Choice(packages, options["all"], options["full"], options["revdeps"])
    if options["pretend"]:
        from farm.cli.anise_build.pretend import pretend

        options.pop("backend")
        raise SystemExit(pretend(open_session(context, options).tree, choice, options["output"]))
    ensure_privileges(sys.argv)
    session = open_session(context, options)
    for tree in session.settings.trees:
        click.echo(f"Loading tree {tree}")
    click.echo(f"Building in {session.settings.destination}")
    wanted = choice.packages(session.tree)
    for id in wanted:
        click.echo(f"Selecting {id.name} {id.version}")
    plan = _plan(session, wanted, options)
    raise SystemExit(_make(session, plan, options["live_output"]))


def _plan(session: Session, wanted: Sequence[PackageId], options: dict[str, Any]) -> Plan:
    """The plan of all that goes into the destination."""
    everything = options["all"] or options["full"]
    plan = session.plan_of(wanted, everything=everything)
    if everything or options["only_target_package"] or options["nodeps"]:
        return plan
    made_for = {node.package for node in plan.nodes.values()}
    below = {id for id in session.tree.packages if str(id) in made_for} - set(wanted)
    return session.plan_of(sorted(below if options["onlydeps"] else {*wanted, *below}))


def _make(session: Session, plan: Plan, live: bool) -> int:
    """Makes the plan's packages and puts them into the destination; the exit status."""
    from farm.cli.anise_build.output import Output
    from farm.cli.beside import write_beside
    from farm.cli.build import run
    from farm.cli.deliver import deliver, prepare
    from farm.cli.report import report
    from farm.cli.show import print_problems

    prepare(session.settings.destination)
    print_problems(plan.problems)
    with session.store:
        summary = run(session, plan, Output(live))
        packages = deliver(plan, summary, session)
        write_beside(packages, plan, session)
    for package in packages:
        click.echo(f"Artifact generated: {package.file}")
    report(plan, summary, (), session.store_option())
    if summary.outcome == "ok" and not plan.problems:
        return 0
    click.echo("Bailing out")
    return 130 if summary.outcome == "cancelled" else 1
