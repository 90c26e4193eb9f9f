# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm config``: every setting and where it comes from."""

from __future__ import annotations

import json

import click

from farm.cli.session import plan_options, settings_of
from farm.cli.show import print_json, table


@click.command()
@plan_options
def config(**options: object) -> None:
    """Show the settings that hold here, and where each comes from."""
    settings = settings_of(options).to_json()
    if options["json"]:
        print_json(settings)
    else:
        rows = [
            [key, json.dumps(entry["value"], ensure_ascii=False), entry["origin"]] for key, entry in settings.items()
        ]
        click.echo(table(rows))
