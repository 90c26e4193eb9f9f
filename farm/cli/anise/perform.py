# SPDX-License-Identifier: GPL-3.0-or-later
"""What all commands that change a root do: mend what was interrupted, plan, show, ask, apply, and say what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from farm.cli.anise.flags import client, wished
from farm.cli.anise.show import identity_line, print_change
from farm.cli.pflag import switch
from farm.cli.show import plural, print_problems, size

if TYPE_CHECKING:
    from farm.client.catalog import Catalog
    from farm.client.change import Change
    from farm.client.config import ClientConfig
    from farm.client.database import Database
    from farm.client.solve import Rules

Command = TypeVar("Command", bound=Callable[..., Any])
Plan = Callable[["Catalog", "Database"], "Change"]


def finalizer_options(command: Command) -> Command:
    """Adds the flags of all commands that change a root."""
    for option in reversed((
        switch("--force", help="Go on where an error would stop: other packages' files are taken from them."),
        switch("--preserve-system-essentials", default=True, help="Keep the client's own files (always done)."),
        click.option("--finalizer-env", multiple=True, metavar="KEY=VALUE", help="A variable for finalizers."),
        switch("--skip-finalizers", help="Do not run finalizers."),
    )):  # fmt: skip
        command = option(command)
    return command


def change_options(command: Command) -> Command:
    """Adds the flags of ``install`` and ``upgrade``."""
    for option in reversed((
        switch("--nodeps", help="Do not look at dependencies (harmful)."),
        switch("--ignore-conflicts", help="Do not look at conflicts of packages (harmful)."),
        switch("--skip-check-system", help="Replace files that belong to no package without a word."),
        switch("--pretend", "-p", help="Only show what would be done."),
        switch("--yes", "-y", help="Do not ask."),
        switch("--download-only", help="Only download."),
        switch("--sync-repos", help="Sync the repositories before."),
        switch("--ignore-masks", help="Look at masked packages too."),
        switch("--overwrite-existing-dir-perms", default=None, help="Give folders that are there new permissions."),
    )):  # fmt: skip
        command = option(command)
    return finalizer_options(command)


def rules_of(options: Mapping[str, Any]) -> Rules:
    """What the solver is not to look at."""
    from farm.client.solve import Rules

    force = wished(options, "force")
    return Rules(wished(options, "nodeps"), bool(options.get("ignore_conflicts")) or force)


def perform(context: click.Context, plan: Plan, options: Mapping[str, Any], nothing: str) -> None:
    """Carries out what ``plan`` finds; ``nothing`` is said when that is nothing. Exits with 1 if a finalizer failed.

    FarmError of planning and of `farm.client.transaction.apply.apply`, ``cancelled`` when the user says no.
    """
    from farm.client.database import Database
    from farm.client.transaction.lock import locked
    from farm.client.transaction.recover import recover

    config = client(context, options)
    if options.get("sync_repos"):
        synced(config, ())
    with Database(config.database_file) as database:
        if options.get("pretend"):
            _told(plan(_catalog(config, options), database), nothing)
            return
        with locked(config):
            recover(config, database)
            change = plan(_catalog(config, options), database)
            if _told(change, nothing) and (wished(options, "yes") or options.get("yes") is None or _agreed(config)):
                _carry_out(context, change, config, database, options)
            elif change.present:
                _note_requested(change, database)


def synced(config: ClientConfig, names: tuple[str, ...], *, force: bool = False, ignore_errors: bool = False) -> None:
    """Syncs repositories (all enabled ones without names) and says what came. Exits with 1 if one failed."""
    from farm.client.repositories import Result, Synced, chosen, sync_all

    def done(repository: Any, result: Result) -> None:
        if isinstance(result, Synced):
            click.echo(identity_line(repository, result.identity, "" if result.changed else " (up to date)"))
        else:
            click.echo(f"repository {repository.name}:", err=True)
            print_problems(result.problems)

    results = sync_all(config, chosen(config, names), force=force, done=done)
    if not results:
        click.echo("No repositories candidates found.")
    if not ignore_errors and not all(isinstance(result, Synced) for result in results):
        raise click.exceptions.Exit(1)


def _catalog(config: ClientConfig, options: Mapping[str, Any]) -> Catalog:
    """What repositories offer; nothing for a command that needs none (they need not even be synced then)."""
    from farm.client.catalog import Catalog
    from farm.client.repositories import open_catalog

    if options.get("without_catalog"):
        return Catalog()
    return open_catalog(config, ignore_masks=bool(options.get("ignore_masks")))


def _told(change: Change, nothing: str) -> bool:
    """Shows a change; whether there is something to do."""
    for one in change.present:
        click.echo(f"[{one.id.atom}] already installed.", err=True)
    if change.empty:
        click.echo(nothing)
        return False
    print_change(change)
    return True


def _agreed(config: ClientConfig) -> bool:
    from farm.spec.problem import error

    if config.assume_yes or click.confirm("Do you want to continue with this operation?"):
        return True
    raise error("cancelled", "nothing was done", hint="answer y, or use --yes")


def _carry_out(
    context: click.Context, change: Change, config: ClientConfig, database: Database, options: Mapping[str, Any]
) -> None:
    from farm.cli.anise.screen import Screen
    from farm.client.fetch import fetch_packages
    from farm.client.transaction.apply import Options, apply

    with Screen() as screen:
        if options.get("download_only"):
            found = fetch_packages(change.arrivals, config, report=screen, keep=True)
            click.echo(
                f"{plural(len(found), 'package')} downloaded, {size(sum(p.stat().st_size for p in found.values()))}"
            )
            return
        how = Options(
            overwrite=wished(options, "force"),
            finalizers=not options.get("skip_finalizers"),
            keep_protected=bool(options.get("keep_protected_files")),
        )
        result = apply(change, config, database, options=how, report=screen)
    for gone in result.removed:
        click.echo(f"♻ {gone.id} # uninstalled ✔")
    for one in result.installed:
        click.echo(f"📦 {one.id} # installed ✔")
    print_problems((*result.warnings, *result.failures))
    if result.failures:
        context.exit(1)


def _note_requested(change: Change, database: Database) -> None:
    """What is there because something else needs it, and is asked for now, stays when that goes."""
    with database.transaction():
        for one in change.present:
            database.set_requested(one.id, True)
