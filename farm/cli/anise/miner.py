# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise miner``: packages one by one, in the order given, without regard to dependencies and masks."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from farm.cli.anise.flags import client, persistent
from farm.cli.anise.perform import finalizer_options, perform
from farm.cli.anise.reinstall import reinstall
from farm.cli.pflag import GoCommand, GoGroup, switch, words
from farm.cli.show import plural, size

_HERE = "farm.cli.anise.miner"
COMMANDS = {
    "download": (_HERE, "Download packages of a repository into the cache."),
    "install-package": (_HERE, "Install packages of a repository."),
    "remove-package": (_HERE, "Remove packages."),
    "reinstall-package": (_HERE, "Unpack installed packages again."),
    "replace-package": (_HERE, "Remove packages and install others."),
}
ALIASES = {"d": "download", "i": "install-package", "r": "remove-package", "rm": "remove-package",
           "ri": "reinstall-package", "re": "replace-package", "switch": "replace-package"}  # fmt: skip

reinstall_package = reinstall


@click.group("miner", cls=GoGroup, table=COMMANDS, short=ALIASES)
@persistent
def miner(**_options: Any) -> None:
    """Packages one by one, in the order given, without regard to dependencies, conflicts and masks."""


@click.command("download", cls=GoCommand)
@click.argument("repository")
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@persistent
@click.pass_context
def download(context: click.Context, /, repository: str, packages: tuple[str, ...], **_options: Any) -> None:
    """Download PACKAGES of a REPOSITORY into the cache."""
    from farm.cli.anise.screen import Screen
    from farm.client.database import Database
    from farm.client.fetch import fetch_packages
    from farm.client.repositories import open_catalog
    from farm.client.solve import plan_reinstall

    config = client(context)
    config = dataclasses.replace(
        config, repositories=(dataclasses.replace(config.repository(repository), enable=True),)
    )
    with Database(config.database_file) as database, Screen() as screen:
        change = plan_reinstall(open_catalog(config, ignore_masks=True), database, packages, repository, new=True)
        found = fetch_packages(change.arrivals, config, report=screen, keep=True)
    click.echo(
        f"{plural(len(found), 'package')} downloaded, {size(sum(path.stat().st_size for path in found.values()))}"
    )


@click.command("install-package", cls=GoCommand)
@click.argument("repository")
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@switch("--check-conflicts", default=True, help="Files of other packages are not replaced.")
@finalizer_options
@persistent
@click.pass_context
def install_package(context: click.Context, /, repository: str, packages: tuple[str, ...], **options: Any) -> None:
    """Install PACKAGES of a REPOSITORY, in this order."""
    from farm.client.solve import plan_reinstall

    client(context).repository(repository)
    options["force"] = options["force"] or not options["check_conflicts"]
    plan = lambda catalog, database: plan_reinstall(catalog, database, packages, repository, new=True)  # noqa: E731
    perform(context, plan, {**options, "ignore_masks": True}, "No packages found.")


@click.command("remove-package", cls=GoCommand)
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@finalizer_options
@persistent
@click.pass_context
def remove_package(context: click.Context, /, packages: tuple[str, ...], **options: Any) -> None:
    """Remove PACKAGES, and nothing that needs them."""
    from farm.client.solve import plan_remove

    plan = lambda _catalog, database: plan_remove(database, packages, nodeps=True)  # noqa: E731
    perform(context, plan, {**options, "without_catalog": True}, "No packages found.")


@click.command("replace-package", cls=GoCommand)
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@words("--for", "replacements", help="The packages to install.")
@switch("--with-deps", help="Install what they need too.")
@switch("--skip-check-system", help="Replace files that belong to no package without a word.")
@switch("--ignore-masks", help="Look at masked packages too.")
@finalizer_options
@persistent
@click.pass_context
def replace_package(
    context: click.Context, /, packages: tuple[str, ...], replacements: tuple[str, ...], **options: Any
) -> None:
    """Remove PACKAGES and install others in one step, without regard to conflicts."""
    from farm.client.solve import Rules, plan_swap

    if not replacements:
        raise click.UsageError("name what comes with --for", context)
    rules = Rules(nodeps=not options["with_deps"], ignore_conflicts=True)
    plan = lambda catalog, database: plan_swap(catalog, database, packages, replacements, rules)  # noqa: E731
    perform(context, plan, options, "No packages found.")
