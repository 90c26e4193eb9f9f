# SPDX-License-Identifier: GPL-3.0-or-later
"""``--pretend``: what packages are built on, as lines, JSON or YAML in luet-build's form."""

from __future__ import annotations

import json
from typing import Any

import click

from farm.cli.anise_build.choose import Choice, Needs
from farm.cli.show import print_problems
from farm.spec.model import PackageId, Tree
from farm.spec.problem import FarmError


def pretend(tree: Tree, choice: Choice, output: str) -> int:
    """Prints each dependency of each target, with the target; the exit status."""
    needs = Needs(tree)
    found: list[dict[str, Any]] = []
    status = 0
    for target in choice.targets(tree):
        try:
            found += [_row(tree, below, target) for below in needs.below(target)]
        except FarmError as failure:
            print_problems(failure.problems)
            status = 1
    _print(found, output)
    return status


def _row(tree: Tree, id: PackageId, target: PackageId) -> dict[str, Any]:
    """luet's PackageResult; it leaves the licence, the repository and the files empty."""
    hidden = tree.packages[id].hidden
    return {"License": "", "category": id.category, "files": None, "hidden": hidden, "name": id.name,
            "repository": "", "target": str(target), "version": id.version}  # fmt: skip


def _print(rows: list[dict[str, Any]], output: str) -> None:
    document = {"packages": rows or None}
    if output == "json":
        click.echo(json.dumps(document, separators=(",", ":")))
    elif output == "yaml":
        from farm.wagon.plainyaml import dump

        click.echo(dump(document))
    else:
        for row in rows:
            click.echo(f"{row['category']}/{row['name']}-{row['version']} required for {row['target']}")
