# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise query``: files of packages, packages of files, and packages that no repository has any more."""

from __future__ import annotations

from typing import Any

import click

from farm.cli.anise.flags import client, output_option, persistent
from farm.cli.anise.search import root_prefix, stones
from farm.cli.anise.show import print_data, print_stones
from farm.cli.pflag import GoCommand, GoGroup, switch

_HERE = "farm.cli.anise.query"
COMMANDS = {
    "files": (_HERE, "Show the files of packages."),
    "belongs": (_HERE, "Show whose files are."),
    "orphans": (_HERE, "Show installed packages that no repository has any more."),
}
ALIASES = {"fi": "files", "f": "files", "be": "belongs", "b": "belongs", "o": "orphans"}


@click.group("query", cls=GoGroup, table=COMMANDS, short=ALIASES)
@persistent
def query(**_options: Any) -> None:
    """Ask for files, owners and orphans."""


@click.command("files", cls=GoCommand)
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@output_option
@switch("--installed", help="Of installed packages.")
@switch("--with-rootfs-prefix", default=True, help="With the root in front.")
@persistent
@click.pass_context
def files(context: click.Context, /, packages: tuple[str, ...], **options: Any) -> None:
    """Show the files of PACKAGES, as the repositories say or as they are installed."""
    from farm.client.query import Criteria, search
    from farm.spec.problem import error

    config = client(context)
    found = search(stones(config, installed=options["installed"]), Criteria(packages=packages, hidden=True))
    if not found:
        raise error("unknown-target", f"there is no package {', '.join(packages)}")
    prefix = root_prefix(config) if options["with_rootfs_prefix"] else ""
    paths = [f"{prefix}{path}" for stone in found for path in stone.files]
    if options["output"] != "terminal":
        print_data(paths, options["output"])
    elif paths:
        click.echo("\n".join(paths))


@click.command("belongs", cls=GoCommand)
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@output_option
@switch("--table", help="As a table.")
@switch("--quiet", help="Only names.")
@switch("--installed", help="Only installed packages.")
@persistent
@click.pass_context
def belongs(context: click.Context, /, paths: tuple[str, ...], **options: Any) -> None:
    """Show which packages have FILEs; of one that nobody has, those with a file in whose path it occurs."""
    from farm.client.query import belongs as owners

    config = client(context)
    found = owners(stones(config, installed=options["installed"]), paths)
    if options["output"] == "terminal":
        print_stones(found, quiet=options["quiet"], table=options["table"])
    else:
        print_data({"stones": [stone.document(files=True) for stone in found]}, options["output"])


@click.command("orphans", cls=GoCommand)
@switch("--verbose", default=True, help="Say more.")
@switch("--quiet", help="Only names.")
@switch("--unneeded", help="Instead, packages that nobody asked for and nothing needs.")
@output_option
@persistent
@click.pass_context
def orphans(context: click.Context, /, **options: Any) -> None:
    """Show installed packages that no enabled repository has any more."""
    from farm.client.database import Database
    from farm.client.query import orphans as left
    from farm.client.query import stones_of, unneeded
    from farm.client.repositories import open_catalog
    from farm.client.transaction.recover import recover

    config = client(context)
    with Database(config.database_file) as database:
        recover(config, database, reading=True)
        installed = database.installed(files=False)
    found = unneeded(installed) if options["unneeded"] else left(open_catalog(config, ignore_masks=True), installed)
    if options["output"] == "terminal":
        print_stones(stones_of(found), quiet=options["quiet"], table=False)
    else:
        print_data({"packages": [stone.document() for stone in stones_of(found)]}, options["output"])
