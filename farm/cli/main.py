# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``farm`` command: its subcommands are imported only when they are called."""

from __future__ import annotations

import importlib
import sys

import click

from farm import __version__

COMMANDS = {
    "build": ("farm.cli.build", "Make packages from a spec tree."),
    "plan": ("farm.cli.plan", "Show what a build would run, what is cached, and why."),
    "explain": ("farm.cli.explain", "Say which field changed since a package was last built."),
    "graph": ("farm.cli.graph", "Print what a target needs as DOT, JSON or SVG."),
    "lint": ("farm.cli.lint", "Check a spec tree and list every problem."),
    "schema": ("farm.cli.schema", "Print the JSON Schema of a file kind."),
    "config": ("farm.cli.config", "Show the settings and where each comes from."),
    "status": ("farm.cli.status", "Show what runs now and how the last runs ended."),
    "log": ("farm.cli.log", "Print a job's log; -f follows a running one."),
    "history": ("farm.cli.history", "List past runs, or the executions of one package."),
    "shell": ("farm.cli.shell", "Open a shell in a failed job's root."),
    "doctor": ("farm.cli.doctor", "Check this host and say how to mend each finding."),
    "df": ("farm.cli.storage", "Show what the store holds."),
    "gc": ("farm.cli.storage", "Remove what was not used for longest from the store."),
    "verify": ("farm.cli.storage", "Check everything in the store against its digest."),
}
"""Name of a command → its module and what it is for. The module has a click command of that name."""


class LazyGroup(click.Group):
    """Lists commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a mistyped name."""
        if args and args[0] not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="farm")
def cli() -> None:
    """A build farm for source-based Linux distributions.

    Targets are category/name[@selector], for example lib/musl or lib/musl@>=1.2.
    """


def main() -> None:
    """The program: runs the command line, prints problems, and exits with the status."""
    from farm.spec.problem import FarmError

    try:
        cli(standalone_mode=True)
    except FarmError as failure:
        from farm.cli.show import print_problems

        print_problems(failure.problems)
        sys.exit(1)
    except BrokenPipeError:
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
