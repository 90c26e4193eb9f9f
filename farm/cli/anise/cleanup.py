# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise cleanup``."""

from __future__ import annotations

from typing import Any

import click

from farm.cli.anise.flags import client, persistent
from farm.cli.pflag import GoCommand, switch
from farm.cli.show import plural, size


@click.command("cleanup", cls=GoCommand)
@switch("--purge-repos", help="Forget what was synced, too.")
@persistent
@click.pass_context
def cleanup(context: click.Context, /, purge_repos: bool, **_options: Any) -> None:
    """Remove downloaded packages."""
    from farm.client.fetch import forget_packages
    from farm.client.repositories import purge
    from farm.client.transaction.lock import locked

    config = client(context)
    with locked(config):
        count, freed = forget_packages(config)
        if purge_repos:
            purge(config)
    click.echo(f"Cleaned: {plural(count, 'package')}, {size(freed)}.")
