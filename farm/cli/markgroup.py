# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that read their words as mark-devkit does: pflag's syntax, short names, status 1 for wrong usage."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from farm.cli.lazy import LazyGroup
from farm.cli.pflag import GoCommand, GoGroup


class WrongUsage(click.UsageError):
    """Wrong usage, with the status that mark-devkit gives."""

    exit_code = 1


class MarkCommand(GoCommand):
    """A command with pflag's syntax."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the words of the command line."""
        with _status():
            return super().parse_args(ctx, args)


class ShortGroup(LazyGroup):
    """A group that ends with mark-devkit's status for wrong usage."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names."""
        with _status():
            return super().resolve_command(ctx, args)


class MarkGroup(GoGroup):
    """A group with pflag's syntax for the flags before the name of the command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the words before the command."""
        with _status():
            return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names."""
        with _status():
            return super().resolve_command(ctx, args)


@contextlib.contextmanager
def _status() -> Iterator[None]:
    try:
        yield
    except click.UsageError as problem:
        raise WrongUsage(problem.format_message(), problem.ctx) from problem
