# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build``: the commands and flags of anise-build (luet-build), for Makefiles and scripts that call it.

What comes out differently on purpose, and which flags mean nothing here, is in docs/compatibility.md.
"""

from __future__ import annotations

import click

from farm.cli.anise_build.flags import persistent, remember
from farm.cli.pflag import GoGroup

COMMANDS = {
    "build": ("farm.cli.anise_build.build", "Make packages from spec trees."),
    "create-repo": ("farm.cli.anise_build.create_repo", "Make a wagon of packages."),
    "serve-repo": ("farm.cli.anise_build.serve_repo", "Serve a wagon over HTTP."),
    "pack": ("farm.cli.anise_build.pack", "Make a package of a folder."),
    "tree": ("farm.cli.anise_build.tree", "Look at spec trees, and bump versions."),
    "config": ("farm.cli.anise_build.config", "Print the configuration."),
}


@click.group("anise-build", cls=GoGroup, table=COMMANDS)
@persistent
@click.pass_context
def anise_build(context: click.Context, /, **options: object) -> None:
    """Stand in for anise-build (luet-build): LUET_BUILD="farm anise-build"."""
    remember(context, options)
