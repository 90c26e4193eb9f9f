# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build tree pkglist``: the packages of spec trees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from farm.cli.anise_build.flags import TREE, persistent
from farm.cli.pflag import GoCommand, switch, words


@click.command("pkglist", cls=GoCommand)
@click.option("--tree", "-t", multiple=True, type=TREE, help="A spec tree (default: the working directory).")
@switch("--verbose", "-v", help="With versions.")
@words("--matches", "-m", help="Only what this regular expression matches.")
@words("--exclude", "-e", help="Without what this regular expression matches.")
@click.option("--output", "-o", default="terminal", help="terminal, json or yaml.")
@persistent
@click.pass_context
def pkglist(_context: click.Context, /, tree: tuple[str, ...], **options: Any) -> None:
    """List the packages of spec trees, as the trees are now."""
    from farm.spec.treeindex import Indexed, TreeIndex, index_tree

    wanted = Chosen(options["matches"], options["exclude"])

    def name(package: Indexed) -> str:
        return f"{package.atom}-{package.version}" if options["verbose"] else package.atom

    found = [
        package
        for folder in map(Path, tree or (".",))
        for package in index_tree(folder)[0].packages
        if wanted.has(name(package))
    ]
    index = TreeIndex(Path(), "", tuple(found))
    if options["output"] == "json":
        click.echo(index.to_json())
    elif options["output"] == "yaml":
        from farm.wagon.plainyaml import dump

        click.echo(dump(index.document()))
    else:
        for line in sorted(map(name, found)):
            click.echo(line)


class Chosen:
    """What ``--matches`` and ``--exclude`` choose: Go regular expressions, unanchored. FarmError ``bad-regex``."""

    def __init__(self, matches: Sequence[str], excludes: Sequence[str]) -> None:
        from farm.spec.regex import compile_go

        self._matches = [compile_go(text) for text in matches]
        self._excludes = [compile_go(text) for text in excludes]

    def has(self, name: str) -> bool:
        """Whether a name is chosen."""
        if self._matches and not any(pattern.search(name) for pattern in self._matches):
            return False
        return not any(pattern.search(name) for pattern in self._excludes)
