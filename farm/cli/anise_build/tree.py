# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build tree``: what looks at spec trees without building."""

from __future__ import annotations

import click

from farm.cli.anise_build.flags import persistent, remember
from farm.cli.pflag import GoGroup

COMMANDS = {
    "genidx": ("farm.cli.anise_build.genidx", "Write the indexes of spec trees."),
    "pkglist": ("farm.cli.anise_build.pkglist", "List the packages of spec trees."),
    "images": ("farm.cli.anise_build.images", "List what a package is built on, with digests."),
    "render": ("farm.cli.anise_build.render", "Print a package's build.yaml as it is built."),
    "validate": ("farm.cli.anise_build.validate", "Check spec trees."),
    "bump": ("farm.cli.anise_build.bump", "Count up the build version of a definition.yaml."),
}


@click.group("tree", cls=GoGroup, table=COMMANDS)
@persistent
@click.pass_context
def tree(context: click.Context, /, **options: object) -> None:
    """Look at spec trees, and bump versions."""
    remember(context, options)
