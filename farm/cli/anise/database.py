# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise database``: what is registered as installed, without touching a file of the root."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.anise.flags import client, persistent
from farm.cli.pflag import GoCommand, GoGroup, switch
from farm.cli.show import plural

if TYPE_CHECKING:
    from farm.client.config import ClientConfig
    from farm.client.database import Database

_HERE = "farm.cli.anise.database"
COMMANDS = {
    "get": (_HERE, "Print what is registered of packages."),
    "create": (_HERE, "Register packages without installing them."),
    "remove": (_HERE, "Forget packages without removing them."),
    "reindex": (_HERE, "Check the database and make its indices anew."),
    "adopt": (_HERE, "Register what is in the root already."),
}


@click.group("database", cls=GoGroup, table=COMMANDS)
@persistent
def database(**_options: Any) -> None:
    """Look at and mend the database of installed packages."""


@click.command("get", cls=GoCommand)
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@switch("--files", help="With their files.")
@persistent
@click.pass_context
def get(context: click.Context, /, packages: tuple[str, ...], files: bool, **_options: Any) -> None:
    """Print what is registered of PACKAGES, as YAML."""
    import yaml

    from farm.client.solve import find_installed

    with _changing(client(context)) as there:
        for one in find_installed(there.installed(files=False), packages):
            package = there.get(one.id)
            assert package is not None, "it was just there"
            data = {**package.runtime, "repository": package.repository}
            click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
            if files:
                click.echo(yaml.safe_dump({"files": [*package.files]}, allow_unicode=True))


@click.command("create", cls=GoCommand)
@click.argument("files", nargs=-1, required=True, metavar="METADATA.YAML...", type=click.Path(path_type=Path))
@persistent
@click.pass_context
def create(context: click.Context, /, files: tuple[Path, ...], **_options: Any) -> None:
    """Register packages out of their metadata files, without installing them."""
    from farm.client.database import Installed
    from farm.spec.problem import error
    from farm.wagon.metadata import read_metadata

    found = [read_metadata(file) for file in files]
    with _changing(client(context)) as there, there.transaction():
        for one in found:
            if there.get(one.id) is not None:
                hint = "`farm anise database remove` forgets it"
                raise error("already-registered", f"{one.id} is registered already", hint=hint)
            digests = one.farm.get("digests") or {}
            there.add(Installed(one.id, "", one.runtime, one.files, digests=digests, sha256=one.sha256))
            click.echo(f"{one.id} created")


@click.command("remove", cls=GoCommand)
@click.argument("packages", nargs=-1, required=True, metavar="PACKAGE...")
@switch("--force", help="Pass over what is not there.")
@persistent
@click.pass_context
def remove(context: click.Context, /, packages: tuple[str, ...], force: bool, **_options: Any) -> None:
    """Forget PACKAGES without removing their files."""
    from farm.client.solve import find_installed

    with _changing(client(context)) as there, there.transaction():
        for one in find_installed(there.installed(files=False), packages, force=force):
            there.remove(one.id)


@click.command("reindex", cls=GoCommand)
@persistent
@click.pass_context
def reindex(context: click.Context, /, **_options: Any) -> None:
    """Check the database and make its indices anew."""
    with _changing(client(context)) as there:
        there.reindex()


@click.command("adopt", cls=GoCommand)
@click.option("--stones", type=click.File("rb"), help="What another client has installed, as it prints it (or -).")
@persistent
@click.pass_context
def adopt(context: click.Context, /, stones: Any, **_options: Any) -> None:
    """Register what is in the root already: every package of the repositories whose files are all there.

    With --stones, what `luet search --installed --hidden --full --files -o json` has printed.
    """
    from farm.client.adopt import adopt as look
    from farm.client.adopt import adopt_stones
    from farm.client.repositories import open_catalog

    config = client(context)
    with _changing(config) as there:
        found = adopt_stones(config, stones.read(), there) if stones else look(config, open_catalog(config), there)
    for one in found:
        changed = f" ({one.checked - one.same} of {one.checked} files were changed)" if one.same < one.checked else ""
        click.echo(f"{one.installed.id}{changed}")
    click.echo(f"{plural(len(found), 'package')} registered.", err=True)


@contextlib.contextmanager
def _changing(config: ClientConfig) -> Iterator[Database]:
    """The database, after what was interrupted has been mended, while no other process changes the root."""
    from farm.client.database import Database
    from farm.client.transaction.lock import locked
    from farm.client.transaction.recover import recover

    with locked(config), Database(config.database_file) as there:
        recover(config, there, lambda progress: click.echo(progress.text, err=True))
        yield there
