# SPDX-License-Identifier: GPL-3.0-or-later
"""A group whose commands are imported only when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

Table = Mapping[str, tuple[str, str]]
"""Name of a command → its module and what it is for. The module has a click command of that name (``_`` for ``-``)."""


class LazyGroup(click.Group):
    """Lists the commands of a table without importing them. ``short``: further names of some of them."""

    def __init__(self, *args: Any, table: Table, short: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.table = table
        self.short = short or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.table:
            return None
        module = importlib.import_module(self.table[cmd_name][0])
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, also by a short name, and with a suggestion for a mistyped one."""
        args = [self.short.get(args[0], args[0]), *args[1:]] if args else args
        if args and args[0] not in self.table:
            import difflib

            near = difflib.get_close_matches(args[0], self.table, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)
