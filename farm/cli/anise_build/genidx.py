# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build tree genidx``: the indexes that anise keeps in spec trees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from farm.cli.anise_build.flags import TREE, persistent
from farm.cli.pflag import GoCommand, switch
from farm.spec.problem import error


@click.command("genidx", cls=GoCommand)
@click.option("--tree", "-t", multiple=True, type=TREE, help="A spec tree (default: the working directory).")
@switch("--compress", default=True, help="Write .anise-idx.json.zstd (default), not .anise-idx.json.")
@switch("--only-upper-level", help="Only for the tree's own folder.")
@switch("--dry-run", help="Write nothing.")
@click.option("--output", "-o", default="", help="Print the index as json or yaml.")
@persistent
@click.pass_context
def genidx(_context: click.Context, /, tree: tuple[str, ...], **options: Any) -> None:
    """Write the indexes of spec trees."""
    from farm.spec.treeindex import index_tree, write_index

    for folder in map(Path, tree or (".",)):
        if not folder.is_dir():
            raise error("missing-tree", f"no such folder: {folder}", hint="give it with --tree")
        indexes = index_tree(folder)
        for index in indexes[:1] if options["only_upper_level"] else indexes:
            if not options["dry_run"]:
                write_index(index, compress=options["compress"])
        if options["output"]:
            click.echo(indexes[0].to_json() if options["output"] == "json" else _yaml(indexes[0].document()))


def _yaml(document: dict[str, Any]) -> str:
    from farm.wagon.plainyaml import dump

    return dump(document)
