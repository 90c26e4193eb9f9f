# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build config``: the configuration that holds."""

from __future__ import annotations

from typing import Any

import click

from farm.cli.anise_build.flags import configuration, persistent
from farm.cli.pflag import GoCommand


@click.command("config", cls=GoCommand)
@persistent
@click.pass_context
def config(context: click.Context, /, **_options: Any) -> None:
    """Print the configuration: of the environment, the file, and the defaults."""
    from farm.wagon.plainyaml import dump

    click.echo(dump(configuration(context).resolved()), nl=False)
