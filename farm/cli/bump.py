# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm bump``: new versions in a tree, what follows from them built, and the wagon's next revision."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from farm.cli.session import FOLDER, Session, session_options
from farm.runner.rootless import ensure_privileges

_KIT = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("targets", nargs=-1, metavar="[TARGET | CATEGORY/NAME=VERSION]...")
@session_options
@click.option("--wagon", type=FOLDER, metavar="DIR", help="The wagon to compare with and to bump.")
@click.option("--key", metavar="NAME|FILE", help="Sign the wagon with this key (farm key new).")
@click.option("--unsigned", is_flag=True, help="Let a signed wagon lose its signature.")
@click.option("--from-kit", "kits", multiple=True, type=_KIT, metavar="DIR", help="A portage kit's checkout.")
@click.option("--forge", envvar="FARM_FORGE", metavar="URL", help="The API of the forge (default: GitHub's).")
@click.option("--offline", is_flag=True, help="Ask nobody upstream.")
@click.option("--hook-seed", default="", metavar="NAME", help="The seed that version hooks run in.")
@click.option("--hook-network", is_flag=True, help="Version hooks have a network, whether they say so or not.")
@click.option(
    "--revdeps",
    type=click.Choice(("label", "none", "direct", "all")),
    default="label",
    show_default=True,
    help="Whose reverse dependencies are built anew.",
)
@click.option("--no-new", is_flag=True, help="Leave out packages that the wagon never had.")
@click.option("--no-build", is_flag=True, help="Change the tree only.")
@click.option("--keep-going", "-k", is_flag=True, help="Hold back new versions that fail; go on with the others.")
@click.option("--dry-run", "-n", is_flag=True, help="Only show the diff of the tree, and the plan.")
@click.option("--commit", is_flag=True, help="Commit the tree's changes with git.")
@click.option("--author", metavar="'NAME <MAIL>'", help="Who commits (default: whom git is set up for).")
@click.option("--platform", help="The platform to build for, for example linux/amd64.")
@click.option("--runner", help="Where jobs run: sandbox (default) or docker.")
@click.option("--jobs", "-j", type=click.IntRange(1), help="How many jobs run at a time (default: as many as cores).")
@click.option("--plain", is_flag=True, help="Plain lines even on a terminal.")
def bump(**options: Any) -> None:
    """Find what changed upstream and in the tree, raise versions or builds, build what follows, bump the wagon.

    TARGETs limit what is asked for upstream; CATEGORY/NAME=VERSION says the new version itself. The exit status is 0
    when all was done (or nothing was to do), 1 when a part failed, which is told, 130 when it was cancelled.
    """
    from farm.cli.bumping import Bumping
    from farm.cli.bumpreport import report

    ensure_privileges(sys.argv)
    session = Session.of({**options, "targets": ()})
    with session.store:
        outcome = Bumping(session, options).run()
        report(outcome, session)
    raise SystemExit(outcome.status)
