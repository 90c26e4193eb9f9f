# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise``: the commands and flags of anise's (luet's) client, for people and for scripts that call it.

What comes out differently on purpose is in docs/compatibility.md; docs/client.md describes all.
"""

from __future__ import annotations

from typing import Any

import click

from farm.cli.anise.flags import persistent
from farm.cli.pflag import GoGroup

COMMANDS = {
    "install": ("farm.cli.anise.install", "Install packages and what they need."),
    "upgrade": ("farm.cli.anise.upgrade", "Bring all that is installed to its highest version."),
    "uninstall": ("farm.cli.anise.uninstall", "Remove packages and what needs them."),
    "reinstall": ("farm.cli.anise.reinstall", "Unpack installed packages again."),
    "search": ("farm.cli.anise.search", "Search packages, of repositories or installed."),
    "query": ("farm.cli.anise.query", "Ask for files, owners and orphans."),
    "repo": ("farm.cli.anise.repo", "List, sync and switch repositories."),
    "subsets": ("farm.cli.anise.subsets", "Choose which parts of packages are installed."),
    "cleanup": ("farm.cli.anise.cleanup", "Remove downloaded packages."),
    "database": ("farm.cli.anise.database", "Look at and mend the database of installed packages."),
    "miner": ("farm.cli.anise.miner", "Low-level: packages one by one, without their dependencies."),
    "config": ("farm.cli.anise.config", "Print the configuration."),
    "box": ("farm.cli.anise.box", "Run a command in a root."),
}
ALIASES = {"i": "install", "u": "upgrade", "rm": "uninstall", "un": "uninstall", "s": "search", "q": "query",
           "c": "config"}  # fmt: skip


@click.group("anise", cls=GoGroup, table=COMMANDS, short=ALIASES)
@persistent
def anise(**_options: Any) -> None:
    """Install and manage packages of wagons: LUET="farm anise"."""
