# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build tree bump``: the next build of the same version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from farm.cli.anise_build.flags import FILE, persistent
from farm.cli.pflag import GoCommand, switch


@click.command("bump", cls=GoCommand)
@click.option("--definition-file", "-f", type=FILE, help="The definition.yaml.")
@click.option("--pkg-version", "-p", help="This version, not the next build's.")
@switch("--to-stdout", "-o", help="Print the definition and leave the file as it is.")
@persistent
@click.pass_context
def bump(_context: click.Context, /, definition_file: Path | None, pkg_version: str | None, **options: Any) -> None:
    """Count up the build version in a definition.yaml, and leave all else in it as it is."""
    from farm.spec.bump import bump_definition
    from farm.spec.document import open_source
    from farm.spec.problem import FarmError, error
    from farm.spec.whole import write_whole

    if definition_file is None:
        raise error("missing-file", "Mandatory definition.yaml path missing.", hint="give it with --definition-file")
    source, problems = open_source(str(definition_file))
    if source is None:
        raise FarmError(problems)
    bumped = bump_definition(source.text, source.path, pkg_version or None)
    if options["to_stdout"]:
        click.echo(bumped.text, nl=False)
        return
    mode = definition_file.stat().st_mode
    write_whole(definition_file.resolve(), bumped.text.encode())
    definition_file.chmod(mode)
    click.echo(f"Bumped package {bumped.id}.")
