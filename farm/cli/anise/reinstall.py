# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise reinstall``, which is ``miner reinstall-package`` too."""

from __future__ import annotations

from typing import Any

import click

from farm.cli.anise.flags import persistent
from farm.cli.anise.perform import finalizer_options, perform
from farm.cli.pflag import GoCommand


@click.command("reinstall", cls=GoCommand)
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@finalizer_options
@persistent
@click.pass_context
def reinstall(context: click.Context, /, packages: tuple[str, ...], **options: Any) -> None:
    """Unpack installed PACKAGES of the same version again, in this order, without regard to dependencies."""
    from farm.client.solve import plan_reinstall

    plan = lambda catalog, database: plan_reinstall(catalog, database, packages)  # noqa: E731
    perform(context, plan, {**options, "ignore_masks": True}, "No packages found.")
