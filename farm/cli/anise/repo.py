# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise repo``: list, sync and switch repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from farm.cli.anise.flags import Contradiction, client, persistent
from farm.cli.anise.perform import synced
from farm.cli.anise.show import when
from farm.cli.pflag import GoCommand, GoGroup, switch

if TYPE_CHECKING:
    from farm.client.config import ClientConfig, RepositoryConfig

_HERE = "farm.cli.anise.repo"
COMMANDS = {
    "list": (_HERE, "List the configured repositories."),
    "update": (_HERE, "Sync repositories."),
    "enable": (_HERE, "Enable repositories."),
    "disable": (_HERE, "Disable repositories."),
}


@click.group("repo", cls=GoGroup, table=COMMANDS, short={"up": "update"})
@persistent
def repo(**_options: Any) -> None:
    """List, sync and switch repositories."""


@click.command("list", cls=GoCommand)
@switch("--enabled", help="Only enabled repositories.")
@switch("--disabled", help="Only disabled repositories.")
@switch("--quiet", "-q", help="Only names.")
@switch("--urls", "-u", help="With URLs.")
@click.option("--type", "-t", "kind", help="Only repositories of this type (http, disk, docker).")
@persistent
@click.pass_context
def list(context: click.Context, /, **options: Any) -> None:
    """List the configured repositories, in the order of their files."""
    if options["enabled"] and options["disabled"]:
        raise Contradiction(context, "--enabled", "--disabled")
    config = client(context)
    for one in config.repositories:
        hidden = (options["enabled"] and not one.enable) or (options["disabled"] and one.enable)
        if hidden or options["kind"] not in (None, "", one.type):
            continue
        click.echo(one.name if options["quiet"] else _described(config, one, with_urls=options["urls"]))


@click.command("update", cls=GoCommand)
@click.argument("names", nargs=-1, metavar="[REPOSITORY]...")
@switch("--force", "-f", help="Fetch everything again, and take an older revision too.")
@switch("--ignore-errors", "-i", help="End with status 0 whatever happens.")
@persistent
@click.pass_context
def update(context: click.Context, /, names: tuple[str, ...], **options: Any) -> None:
    """Sync REPOSITORIES, or all that are enabled."""
    synced(client(context), names, force=options["force"], ignore_errors=options["ignore_errors"])


@click.command("enable", cls=GoCommand)
@click.argument("names", nargs=-1, required=True, metavar="REPOSITORY...")
@persistent
@click.pass_context
def enable(context: click.Context, /, names: tuple[str, ...], **_options: Any) -> None:
    """Enable REPOSITORIES."""
    _switch(client(context), names, on=True)


@click.command("disable", cls=GoCommand)
@click.argument("names", nargs=-1, required=True, metavar="REPOSITORY...")
@persistent
@click.pass_context
def disable(context: click.Context, /, names: tuple[str, ...], **_options: Any) -> None:
    """Disable REPOSITORIES."""
    _switch(client(context), names, on=False)


def _switch(config: ClientConfig, names: tuple[str, ...], *, on: bool) -> None:
    from farm.client.switch import switch_repository

    word = "enabled" if on else "disabled"
    for one in [config.repository(name) for name in names]:
        if one.enable == on:
            click.echo(f"Repository {one.name} already {word}. Nothing to do.")
        else:
            switch_repository(one, on)
            click.echo(f"{click.style(one.name, fg='green' if on else 'red', bold=True)} {word}: ✔")


def _described(config: ClientConfig, one: RepositoryConfig, *, with_urls: bool) -> str:
    from farm.client.repositories import known_identity

    lines = [click.style(one.name, fg="bright_green" if one.enable else "bright_red", bold=True)]
    lines.append(f"  {one.description or (one.urls[0] if one.urls else '')}")
    identity = known_identity(config, one) if one.cached else None
    if identity is not None:
        made = when(identity.last_update)
        lines.append(f"  Revision {identity.revision:5}{f' - {made}' if made else ''}")
    lines.append(f"  Priority {one.priority:5} - Type {one.type:>4}")
    if with_urls:
        lines += ["  Urls:", *(f"   * {url}" for url in one.urls)]
    return "\n".join(lines)
