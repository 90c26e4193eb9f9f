# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm df``, ``farm gc``, ``farm verify``: looking after the store."""

from __future__ import annotations

import dataclasses
import sys

import click

from farm.cli.session import open_journal, open_store, store_options
from farm.cli.show import plural, print_json, print_problems, size, table
from farm.runner.rootless import ensure_privileges
from farm.spec.quantity import parse_size


@click.command()
@store_options
def df(**options: object) -> None:
    """Show what the store holds, by kind."""
    with open_store(options) as store:
        sizes = store.df()
    if options["json"]:
        print_json({"store": str(store.root), **sizes})
    else:
        click.echo(store.root)
        rows = [[f"  {kind}", size(of["bytes"]), plural(of["count"], "object")] for kind, of in sizes.items()]
        click.echo(table(rows))


@click.command()
@click.option("--keep", metavar="SIZE", help="Go down to this much in all, for example 20G.")
@click.option("--free", metavar="SIZE", help="Go on until this much is free on the disk.")
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would be removed.")
@store_options
def gc(keep: str | None, free: str | None, dry_run: bool, **options: object) -> None:
    """Remove what was not used for longest; never what running jobs need.

    Without --keep and --free only leftovers of dead processes go.
    """
    ensure_privileges(sys.argv)
    with open_store(options) as store:
        done = store.gc(parse_size(keep) if keep else None, parse_size(free) if free else None, dry_run=dry_run)
    if options["json"]:
        print_json(dataclasses.asdict(done))
    else:
        word = "would remove" if dry_run else "removed"
        click.echo(f"{word} {plural(len(done.removed), 'object')}, {size(done.freed)}; {size(done.kept)} are left")


@click.command()
@click.option("--dry-run", "-n", is_flag=True, help="Only say what is damaged and what would be withdrawn.")
@store_options
def verify(dry_run: bool, **options: object) -> None:
    """Check everything in the store against its digest; damaged objects are put aside and made again.

    So are results that were made from one after it was last known to be good.
    """
    ensure_privileges(sys.argv)
    with open_store(options) as store, open_journal(options) as journal:
        problems = store.verify(dry_run=dry_run, names=journal.names_of)
    if options["json"]:
        print_json([problem.to_json() for problem in problems])
    else:
        print_problems(problems)
        click.echo("the store is sound" if not problems else plural(len(problems), "problem"))
    raise SystemExit(1 if problems else 0)
