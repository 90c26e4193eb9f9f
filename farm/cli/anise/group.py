# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups whose commands have short names too, as the Go client's have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from farm.cli.pflag import GoGroup


class AliasGroup(GoGroup):
    """``aliases``: other name → name."""

    def __init__(self, *args: Any, aliases: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.aliases = aliases or {}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of that name, or of that short name."""
        if args:
            args = [self.aliases.get(args[0], args[0]), *args[1:]]
        return super().resolve_command(ctx, args)
