# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise install``."""

from __future__ import annotations

from typing import Any

import click

from farm.cli.anise.flags import persistent
from farm.cli.anise.perform import change_options, perform, rules_of
from farm.cli.pflag import GoCommand


@click.command("install", cls=GoCommand)
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@change_options
@persistent
@click.pass_context
def install(context: click.Context, /, packages: tuple[str, ...], **options: Any) -> None:
    """Install PACKAGES (category/name[@selector]) and what they need.

    What is installed stays as it is where that is possible. A PACKAGE may be a Gentoo atom, and end in ::REPOSITORY.
    """
    from farm.client.solve import plan_install

    rules = rules_of(options)
    plan = lambda catalog, database: plan_install(catalog, database, packages, rules)  # noqa: E731
    perform(context, plan, options, "No packages to install.")
