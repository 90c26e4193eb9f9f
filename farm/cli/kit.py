# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit``: kits of ebuilds, their releases, and the bot that keeps them. Commands are imported when called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from farm.cli.lazy import LazyGroup

COMMANDS = {
    "merge": ("farm.cli.kit_merge", "Take new versions of packages from source kits into a kit."),
    "foundations": ("farm.cli.kit_foundations", "Check Funtoo's foundations, and show a release's kits."),
    "clean": ("farm.cli.kit_merge", "Remove old versions of packages from a kit."),
    "autogen": ("farm.cli.kit_autogen", "Make ebuilds of what upstream released, and merge them."),
    "autogen-thin": ("farm.cli.kit_autogen", "Make ebuilds of what upstream released in a folder."),
    "bump-release": ("farm.cli.kit_release", "Pin the kits' present commits in the meta-repo."),
    "revert-release": ("farm.cli.kit_release", "Go back to an earlier pin of the meta-repo."),
    "clone": ("farm.cli.kit_look", "Clone kits, and write down their commits."),
    "distfiles-sync": ("farm.cli.kit_distfiles", "Bring every distfile of a kit to a mirror."),
    "cache": ("farm.cli.kit_look", "Write the metadata cache (md5-cache) of a kit."),
    "status": ("farm.cli.kit_look", "Show each package's version in each branch."),
}
"""Name of a command → its module and what it is for."""

ALIASES = {
    "m": "merge", "me": "merge", "purge": "clean", "br": "bump-release", "bump": "bump-release",
    "release": "bump-release", "cl": "clone", "sync": "clone", "ds": "distfiles-sync", "distfiles": "distfiles-sync",
}  # fmt: skip
"""mark-devkit's short names. Its ``c`` is both clean and clone, and is left out."""


@click.group(cls=LazyGroup, table=COMMANDS, short=ALIASES)
@click.option(
    "--config", "-c", type=click.Path(dir_okay=False, path_type=Path), help="mark-devkit's configuration, with tokens."
)
@click.pass_context
def kit(ctx: click.Context, config: Path | None) -> None:
    """Keep kits of ebuilds: merge, clean, generate, release. Reads mark-devkit's YAML files."""
    given: dict[str, Any] = ctx.obj or {}
    ctx.obj = {**given, **({"config": config} if config else {})}
