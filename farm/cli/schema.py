# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm schema``: the JSON Schemas of the files that a user writes."""

from __future__ import annotations

import click

from farm.cli.show import print_json


@click.command()
@click.argument("kind", required=False)
def schema(kind: str | None) -> None:
    """Print the JSON Schema of a file KIND; without one, list the kinds."""
    from farm.spec.schema import KINDS
    from farm.spec.schema import schema as schema_of

    if kind is None:
        click.echo("\n".join(KINDS))
        return
    if kind not in KINDS:
        raise click.UsageError(f"{kind!r} is no kind of file; there are: {', '.join(KINDS)}")
    print_json(schema_of(kind))
