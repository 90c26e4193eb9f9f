# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of ``farm stage``, and what they mean."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.session import FOLDER, with_options

if TYPE_CHECKING:
    from farm.stage.layout import Layout
    from farm.stage.library import Library
    from farm.store.signature import SecretKey

FILE = click.Path(dir_okay=False, path_type=Path)


library_options = with_options(
    click.option("--stages", type=FOLDER, envvar="FARM_STAGES", default="stages", show_default=True,
                 help="The folder of stage files."),
    click.option("--values", "template_values", multiple=True, type=FILE, metavar="FILE",
                 help="A value file for the stage files' templates; later ones win."),
)  # fmt: skip
output_option = click.option(
    "--output", type=FOLDER, envvar="FARM_STAGE_OUTPUT", default="out/stages", show_default=True,
    help="The folder that stages are given out in.",
)  # fmt: skip
allow_options = with_options(
    click.option("--allow-host-hooks", is_flag=True, help="Let hooks run on this host that ask for it."),
    click.option("--allow-host-binds", is_flag=True, help="Let stages bind folders of this host that they name."),
)
json_option = click.option("--json", is_flag=True, help="Print plain data.")
build_options = with_options(
    click.option("--strategy", type=click.Choice(["full", "quick"]), default="full", show_default=True,
                 help="full: all stages that it begins with, too. quick: from the last good tarball."),
    click.option("--only", is_flag=True, help="Give out nothing but the stages named."),
)  # fmt: skip
run_options = with_options(
    click.option("--jobs", "-j", type=click.IntRange(1), help="How many jobs run at a time."),
    click.option("--keep-going/--no-keep-going", "-k", default=None, help="Go on with what does not need what failed."),
    click.option("--runner", help="Where jobs run: sandbox (default) or docker."),
    click.option("--plain", is_flag=True, help="Plain lines even on a terminal."),
)


def library_of(options: Mapping[str, Any]) -> Library:
    """The folder of stage files."""
    from farm.spec.values import read_value_files
    from farm.stage.library import Library

    return Library(Path(options["stages"]), read_value_files(list(options["template_values"])))


def layout_of(options: Mapping[str, Any]) -> Layout:
    """The folder that stages are given out in."""
    from farm.stage.layout import Layout

    return Layout(Path(options["output"]))


def secret_of(name: str | None) -> SecretKey | None:
    """The key to sign with; its password is asked for."""
    if name is None:
        return None
    from farm.store.keys import Keyring

    return Keyring.of_user().secret(name, lambda: str(click.prompt("Password", hide_input=True, err=True)))


def version_of(given: str | None) -> str:
    """The version to give out; today's date when none is given."""
    if given is None:
        return time.strftime("%Y-%m-%d", time.gmtime())
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z._+-]*", given):
        raise click.BadParameter("use letters, digits and . _ + -", param_hint="--version")
    return given
