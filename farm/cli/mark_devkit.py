# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm mark-devkit``: the commands and flags of mark-devkit, for scripts that call it. See docs/compatibility.md."""

from __future__ import annotations

from pathlib import Path

import click

from farm.cli.markgroup import MarkGroup
from farm.cli.pflag import switch

COMMANDS = {
    "metro": ("farm.cli.metro", "Run jobs that make stage tarballs."),
    "diagnose": ("farm.cli.diagnose", "Show what comes out of templates."),
    "autogen": ("farm.cli.kit_autogen", "Make ebuilds of what upstream released, and merge them."),
    "autogen-thin": ("farm.cli.kit_autogen", "Make ebuilds of what upstream released in a folder."),
    "kit": ("farm.cli.kit", "Keep kits: merge, clean, clone, bump-release, distfiles-sync."),
}
"""Name of a command → its module and what it is for."""


@click.group("mark-devkit", cls=MarkGroup, table=COMMANDS, short={"a": "autogen", "doit": "autogen-thin"})
@click.option("--config", "-c", type=click.Path(dir_okay=False, path_type=Path), help="mark-devkit's configuration.")
@switch("--debug", "-d", help="Say more.")
@click.version_option("0.32.0", prog_name="mark-devkit (farm)")
@click.pass_context
def mark_devkit(context: click.Context, /, config: Path | None, debug: bool) -> None:
    """Stand in for mark-devkit: alias mark-devkit="farm mark-devkit"."""
    context.obj = {"config": config, "debug": debug}
