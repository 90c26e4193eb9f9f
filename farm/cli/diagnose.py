# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm mark-devkit diagnose job`` and ``farm metro show``: a job as it comes out of its templates."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from farm.cli.markgroup import MarkCommand, ShortGroup
from farm.cli.pflag import switch
from farm.cli.show import print_json, print_problems

COMMANDS = {"job": ("farm.cli.diagnose", "Show a job of metro.")}
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("diagnose", cls=ShortGroup, table=COMMANDS, short={"j": "job"})
def diagnose() -> None:
    """Show what comes out of templates."""


@click.command("job", cls=MarkCommand)
@click.option("--specfile", type=_FILE, required=True, help="The file with the job.")
@click.option("--job", "name", required=True, help="The job.")
@switch("--json", help="Print JSON instead of YAML.")
@switch("--quiet", help="Do not tell of what is only odd.")
@click.option("--config", "-c", type=_FILE, help="mark-devkit's configuration; not needed.")
@switch("--debug", "-d", help="Say more.")
@click.option("--date", help="The moment that templates take for now (default: SOURCE_DATE_EPOCH, else now).")
def job(specfile: Path, name: str, json: bool, quiet: bool, date: str | None, **_options: Any) -> None:
    """Print the job and its hooks with all templates rendered."""
    import datetime

    from farm.stage.metro.diagnose import as_json, as_yaml
    from farm.stage.metro.render import render_job
    from farm.stage.metro.specfile import read_specfile
    from farm.stage.metro.state import moment_of

    moment = moment_of(os.environ, date) or datetime.datetime.now(datetime.UTC)
    found, warnings = render_job(read_specfile(specfile), name, moment)
    if not quiet:
        print_problems(warnings)
    if json:
        print_json(as_json(found))
    else:
        click.echo(as_yaml(found), nl=False)


show = job
