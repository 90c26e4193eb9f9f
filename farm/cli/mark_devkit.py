# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm mark-devkit``: stands in for mark-devkit, with its commands and flags. One line of the table for each."""

from __future__ import annotations

from pathlib import Path

import click

from farm.cli.lazy import LazyGroup

COMMANDS = {
    "autogen": ("farm.cli.kit_autogen", "Make ebuilds of what upstream released, and merge them."),
    "autogen-thin": ("farm.cli.kit_autogen", "Make ebuilds of what upstream released in a folder."),
    "kit": ("farm.cli.kit", "Keep kits: merge, clean, clone, bump-release, distfiles-sync."),
}
"""Name of a command → its module and what it is for."""


ALIASES = {"a": "autogen", "doit": "autogen-thin"}
"""mark-devkit's short names."""


class MarkGroup(LazyGroup):
    """A lazy group that knows mark-devkit's short names."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As the lazy group, a short name taken for its command."""
        return super().resolve_command(ctx, [ALIASES.get(args[0], args[0]), *args[1:]] if args else args)


@click.group(cls=MarkGroup, table=COMMANDS)
@click.option("--config", "-c", type=click.Path(dir_okay=False, path_type=Path), help="The configuration file.")
@click.option("--debug", "-d", is_flag=True, help="Taken for the sake of scripts.")
@click.pass_context
def mark_devkit(ctx: click.Context, config: Path | None, debug: bool) -> None:
    """Stand in for mark-devkit: the same commands, flags and YAML files."""
    ctx.obj = {"config": config, "debug": debug}
