# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise search``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from farm.cli.anise.flags import Contradiction, client, output_option, persistent
from farm.cli.anise.show import print_data, print_stones
from farm.cli.pflag import GoCommand, switch, words

if TYPE_CHECKING:
    from farm.client.config import ClientConfig
    from farm.client.query import Stone


@click.command("search", cls=GoCommand)
@click.argument("matches", nargs=-1, metavar="[REGEX]...")
@switch("--installed", help="Among installed packages.")
@words("--label", help="Having one of these labels.")
@words("--rlabel", help="With a label that one of these regular expressions finds.")
@words("--category", help="With a category that one of these regular expressions finds.")
@words("--annotation", "-a", help="Having one of these annotations.")
@words("--package", "-p", help="These packages (category/name), and what provides them.")
@words("--name", "-n", help="With one of these names.")
@switch("--condition-or", help="One of the conditions is enough.")
@output_option
@switch("--hidden", help="Hidden packages too.")
@switch("--files", help="With files, in JSON and YAML.")
@switch("--with-rootfs-prefix", default=True, help="With the root in front of files.")
@switch("--table", help="As a table.")
@switch("--quiet", help="Only names.")
@switch("--full", help="With all relations, in JSON and YAML.")
@switch("--ignore-masks", help="Masked packages too.")
@switch("--artifacts", help="The whole metadata of packages, in JSON and YAML.")
@persistent
@click.pass_context
def search(context: click.Context, /, matches: tuple[str, ...], **options: Any) -> None:
    """Search packages whose category/name a REGEX finds (none: all)."""
    from farm.client.query import Criteria
    from farm.client.query import search as find

    if options["installed"] and options["artifacts"]:
        raise Contradiction(context, "--installed", "--artifacts")
    config = client(context)
    criteria = Criteria(
        matches or (() if options["package"] else (".",)),
        options["name"],
        options["package"],
        options["category"],
        options["label"],
        options["rlabel"],
        options["annotation"],
        options["hidden"],
        options["condition_or"],
    )
    found = find(stones(config, installed=options["installed"], ignore_masks=options["ignore_masks"]), criteria)
    if options["output"] == "terminal":
        print_stones(found, quiet=options["quiet"], table=options["table"])
    elif options["artifacts"]:
        print_data({"artifacts": _artifacts(config, found)}, options["output"])
    else:
        prefix = root_prefix(config) if options["with_rootfs_prefix"] else ""
        shown = [stone.document(full=options["full"], files=options["files"], prefix=prefix) for stone in found]
        print_data({"stones": shown}, options["output"])


def stones(config: ClientConfig, *, installed: bool, ignore_masks: bool = False) -> list[Stone]:
    """All packages that are installed, or that repositories offer."""
    from farm.client.database import Database
    from farm.client.query import stones_of
    from farm.client.repositories import open_catalog
    from farm.client.transaction.recover import recover

    if not installed:
        return stones_of(open_catalog(config, ignore_masks=ignore_masks).candidates)
    with Database(config.database_file) as database:
        recover(config, database, reading=True)
        return stones_of(database.installed())


def root_prefix(config: ClientConfig) -> str:
    """The root with a slash behind it."""
    return f"{str(config.rootfs).rstrip('/')}/"


def _artifacts(config: ClientConfig, found: list[Stone]) -> list[dict[str, Any]]:
    from farm.client.repositories import open_catalog

    catalog = open_catalog(config, ignore_masks=True)
    candidates = [catalog.get(stone.id, stone.repository) for stone in found]
    return [one.entry.metadata.document() for one in candidates if one is not None]
