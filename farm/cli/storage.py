# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm df``, ``farm gc``, ``farm verify``: looking after the store."""

from __future__ import annotations

import click

from farm.cli.session import open_store, store_options
from farm.cli.show import plural, print_json, print_problems, size, table
from farm.spec.quantity import parse_size


@click.command()
@store_options
def df(**options: object) -> None:
    """Show what the store holds, in bytes by kind."""
    store = open_store(options)
    sizes = store.df()
    if options["json"]:
        print_json({"store": str(store.root), **sizes})
    else:
        click.echo(store.root)
        click.echo(table([[f"  {kind}", size(count)] for kind, count in sizes.items()]))
