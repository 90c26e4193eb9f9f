# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``farm`` command: its subcommands are imported only when they are called."""

from __future__ import annotations

import sys

import click

from farm import __version__
from farm.cli.lazy import LazyGroup

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
    "bump": ("farm.cli.bump", "Raise versions, build what follows and publish it: the daily run."),
    "wagon": ("farm.cli.wagon", "Make, verify, compare, prune and serve wagons (package repositories)."),
    "key": ("farm.cli.key", "Make, show and trust the keys that sign wagons."),
    "image": ("farm.cli.image", "Make, look at, write and boot SD card images of boards."),
    "kit": ("farm.cli.kit", "Keep kits of ebuilds: merge, clean, generate, release."),
    "rootfs": ("farm.cli.rootfs", "Make root file systems, tarballs and images out of packages."),
    "metro": ("farm.cli.metro", "Run jobs of mark-devkit's metro."),
    "stage": ("farm.cli.stage", "Make, verify, list and prune stages: roots as tarballs and images."),
    "anise": ("farm.cli.anise", "Install and manage packages of wagons, with anise's (luet's) commands."),
    "anise-build": ("farm.cli.anise_build", "Stand in for anise-build (luet-build), with its commands and flags."),
    "mark-devkit": ("farm.cli.mark_devkit", "Stand in for mark-devkit, with its commands and flags."),
}
"""Name of a command → its module and what it is for."""


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
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
    except Exception as failure:
        if (reason := _from_outside(failure)) is None:
            raise
        from farm.cli.show import print_problems
        from farm.spec.problem import Problem

        print_problems([Problem("system-error", reason)])
        sys.exit(1)


def _from_outside(failure: Exception) -> str | None:
    """What the system or the database says is wrong; None for a fault of the farm's own."""
    if isinstance(failure, FileNotFoundError) and not failure.filename:
        return "the current folder is gone"
    if isinstance(failure, OSError) and failure.strerror:
        return f"{failure.filename}: {failure.strerror}" if failure.filename else failure.strerror
    sqlite3 = sys.modules.get("sqlite3")
    if sqlite3 and isinstance(failure, sqlite3.OperationalError):
        return f"the store's database: {failure}"
    return None
