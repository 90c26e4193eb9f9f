# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm key``: the keys that wagons are signed with, and those that are trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.show import print_json, table

if TYPE_CHECKING:
    from farm.store.keys import Keyring
    from farm.store.signature import PublicKey

NAME = "wagon"


@click.group()
def key() -> None:
    """Make, show and trust the keys that sign wagons. They are minisign's."""


@key.command()
@click.option("--name", default=NAME, show_default=True, help="What to call it.")
@click.option("--password/--no-password", default=False, help="Ask for a password to encrypt it with.")
@click.option("--json", is_flag=True, help="Print plain data.")
def new(name: str, password: bool, json: bool) -> None:
    """Make a key pair in the user's configuration."""
    keyring = _keyring()
    secret = click.prompt("Password", hide_input=True, confirmation_prompt=True) if password else ""
    public = keyring.new(name, secret).public
    if json:
        print_json(_document(public, name, own=True))
        return
    click.echo(f"key {public.hex}: {keyring.folder / 'keys' / f'{name}.key'}")
    click.echo(f"public key, for those who install from the wagon:\n{public.text}")


@key.command()
@click.argument("name", required=False)
@click.option("--json", is_flag=True, help="Print plain data.")
def show(name: str | None, json: bool) -> None:
    """Show one's own and the trusted keys, or the one of this NAME or file."""
    keyring = _keyring()
    if name is not None:
        public = keyring.public(name)
        if json:
            print_json(_document(public, public.name, own=public in keyring.own()))
        else:
            click.echo(f"untrusted comment: minisign public key {public.hex}\n{public.text}")
        return
    own = set(keyring.own())
    keys = [_document(public, public.name, own=public in own) for public in keyring.trusted()]
    if json:
        print_json(keys)
        return
    rows = [[entry["id"], "own" if entry["own"] else "trusted", entry["name"], entry["key"]] for entry in keys]
    click.echo(table(rows) or "no keys; make one with `farm key new`, or trust one with `farm key trust`")


@key.command()
@click.argument("source", metavar="FILE|KEY")
@click.option("--name", help="What to call it (default: the file's name, or the key's id).")
def trust(source: str, name: str | None) -> None:
    """Trust wagons signed with the public key in FILE, or with the KEY itself (56 letters)."""
    keyring = _keyring()
    public = keyring.public(source)
    stem = Path(source).stem if Path(source).is_file() else public.hex
    path = keyring.trust(public, name or stem)
    click.echo(f"key {public.hex} is trusted: {path}")


def _keyring() -> Keyring:
    from farm.store.keys import Keyring

    return Keyring.of_user()


def _document(public: PublicKey, name: str, *, own: bool) -> dict[str, Any]:
    return {"id": public.hex, "name": name, "own": own, "key": public.text}
