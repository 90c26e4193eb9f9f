# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise uninstall``."""

from __future__ import annotations

from typing import Any

import click

from farm.cli.anise.flags import persistent, wished
from farm.cli.anise.perform import finalizer_options, perform
from farm.cli.pflag import GoCommand, switch


@click.command("uninstall", cls=GoCommand)
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@switch("--nodeps", help="Leave what needs them (harmful).")
@switch("--yes", "-y", help="Do not ask.")
@switch("--keep-protected-files", "-k", help="Keep the packages' protected files.")
@finalizer_options
@persistent
@click.pass_context
def uninstall(context: click.Context, /, packages: tuple[str, ...], **options: Any) -> None:
    """Remove PACKAGES and all that cannot be without them."""
    from farm.client.solve import plan_remove

    nodeps, force = wished(options, "nodeps"), wished(options, "force")
    plan = lambda _catalog, database: plan_remove(database, packages, nodeps=nodeps, force=force)  # noqa: E731
    perform(context, plan, {**options, "without_catalog": True}, "No packages to remove.")
