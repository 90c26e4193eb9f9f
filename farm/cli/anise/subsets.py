# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise subsets``: which parts of packages are installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from farm.cli.anise.flags import client, persistent
from farm.cli.anise.perform import finalizer_options, perform
from farm.cli.pflag import GoCommand, GoGroup, switch
from farm.cli.show import print_problems

if TYPE_CHECKING:
    from farm.client.catalog import Catalog
    from farm.client.change import Change
    from farm.client.database import Database

_HERE = "farm.cli.anise.subsets"
COMMANDS = {
    "list": (_HERE, "List the enabled subsets."),
    "enable": (_HERE, "Enable subsets."),
    "disable": (_HERE, "Disable subsets."),
    "apply": (_HERE, "Make what is installed fit the enabled subsets."),
}
_KNOWN = {
    "portage": "Portage metadata and files.",
    "devel": "Includes and devel files. Needed for compilation.",
}
"""Subsets that are described also where nobody defines them."""


@click.group("subsets", cls=GoGroup, table=COMMANDS)
@persistent
def subsets(**_options: Any) -> None:
    """Choose which parts of packages are installed."""


@click.command("list", cls=GoCommand)
@switch("--quiet", "-q", help="Only names.")
@persistent
@click.pass_context
def list(context: click.Context, /, **options: Any) -> None:
    """List the enabled subsets."""
    config = client(context)
    if options["quiet"]:
        for name in config.subsets_enabled:
            click.echo(name)
        return
    click.echo("🍨 Subsets enabled:" if config.subsets_enabled else "No subsets enabled.")
    defined = {one.name: one for one in config.subsets_definitions}
    for name in config.subsets_enabled:
        click.echo(f" * {click.style(name, fg='green', bold=True)}")
        if name in defined:
            click.echo(f"   {defined[name].description}\n    Num. Rules: {len(defined[name].rules)}")
        elif name in _KNOWN:
            click.echo(f"   {_KNOWN[name]}\n")


@click.command("enable", cls=GoCommand)
@click.argument("names", nargs=-1, required=True, metavar="SUBSET...")
@click.option("--file", "-f", default="", help="The file to write, without its ending (default: main).")
@persistent
@click.pass_context
def enable(context: click.Context, /, names: tuple[str, ...], file: str, **_options: Any) -> None:
    """Enable SUBSETS for packages installed from now on (see `apply`)."""
    from farm.client.switch import enable_subsets

    added = set(enable_subsets(client(context), names, file))
    _report([name for name in names if name in added], "enabled")


@click.command("disable", cls=GoCommand)
@click.argument("names", nargs=-1, required=True, metavar="SUBSET...")
@click.option("--file", "-f", default="", help="The file to write, without its ending (default: main).")
@persistent
@click.pass_context
def disable(context: click.Context, /, names: tuple[str, ...], file: str, **_options: Any) -> None:
    """Disable SUBSETS for packages installed from now on (see `apply`)."""
    from farm.client.switch import disable_subsets

    gone = set(disable_subsets(client(context), names, file))
    _report([name for name in names if name in gone], "disabled")


@click.command("apply", cls=GoCommand)
@switch("--pretend", "-p", help="Only show what would be done.")
@switch("--yes", "-y", help="Do not ask.")
@finalizer_options
@persistent
@click.pass_context
def apply(context: click.Context, /, **options: Any) -> None:
    """Unpack installed packages again whose files are not those that the enabled subsets ask for."""
    from farm.client.refresh import plan_refresh

    config = client(context)

    def plan(catalog: Catalog, database: Database) -> Change:
        change, problems = plan_refresh(config, catalog, database)
        print_problems(problems)
        return change

    perform(context, plan, {**options, "ignore_masks": True}, "All packages fit the enabled subsets.")


def _report(names: Any, word: str) -> None:
    click.echo(f"Subsets {' '.join(names)} {word} ✔ ." if names else f"No subsets {word}.")
