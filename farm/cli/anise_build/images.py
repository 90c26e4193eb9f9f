# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build tree images``: what a package is built on, with a name for each that says what went into it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from farm.cli.anise_build.flags import TREE, persistent, without_meaning
from farm.cli.pflag import GoCommand, words

if TYPE_CHECKING:
    from farm.plan.node import Plan


@click.command("images", cls=GoCommand)
@click.argument("packages", nargs=-1, metavar="PACKAGE")
@click.option("--tree", "-t", multiple=True, type=TREE, help="A spec tree (default: the working directory).")
@words("--values", help="Value files; later ones win.")
@click.option("--image-repository", default="luet/cache", show_default=True, help="What stands before the digests.")
@click.option("--backend", default="docker", show_default=True, help="docker, dockerv2, dockerv3 or img.")
@click.option("--output", "-o", default="terminal", help="terminal, json or yaml.")
@without_meaning(texts=("--pull-repository -p",))
@persistent
@click.pass_context
def images(context: click.Context, /, packages: tuple[str, ...], **options: Any) -> None:
    """Print what PACKAGE is built on, and itself, as category/name-version: REPOSITORY:DIGEST.

    Two equal digests mean the same recipe down to the seeds. Nothing has to be built for that.
    """
    from farm.cli.anise_build.choose import Needs
    from farm.cli.anise_build.surroundings import open_session
    from farm.spec.problem import FarmError, error
    from farm.spec.targets import find_targets

    if len(packages) != 1:
        raise error("missing-package", "Expects one package as parameter")
    session = open_session(context, options)
    (target,) = find_targets(session.tree, packages)
    chain = [*Needs(session.tree).below(target), target]
    plan = session.plan_of(chain)
    if plan.problems:
        raise FarmError(plan.problems)
    digests = recipe_digests(plan)
    by_package = {plan.nodes[name].package: digests[name] for name in plan.targets}
    rows = [
        {"category": id.category, "image": f"{options['image_repository']}:{by_package[str(id)]}", "name": id.name,
         "path": "", "version": id.version}
        for id in chain
    ]  # fmt: skip
    _print(rows, options["output"])


def recipe_digests(plan: Plan) -> dict[str, str]:
    """For each node the sha256 of its action and environment and of the digests of all that it needs."""
    from farm.plan.node import key_document

    digests: dict[str, str] = {}
    for name, node in plan.nodes.items():
        below = [digests[need] for need in node.env_from]
        recipe = [_by_digest(key_document(node.action), digests), node.env, node.preset, below]
        text = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
        digests[name] = hashlib.sha256(text.encode()).hexdigest()
    return digests


def _by_digest(value: Any, digests: Mapping[str, str]) -> Any:
    """Plain data with the digests of nodes in the place of their names."""
    if isinstance(value, dict):
        if value.get("is") == "Made":
            return {**value, "node": digests[value["node"]]}
        return {key: _by_digest(item, digests) for key, item in value.items()}
    return [_by_digest(item, digests) for item in value] if isinstance(value, list) else value


def _print(rows: list[dict[str, str]], output: str) -> None:
    if output == "json":
        click.echo(json.dumps({"packages": rows}, separators=(",", ":")))
    elif output == "yaml":
        from farm.wagon.plainyaml import dump

        click.echo(dump({"packages": rows}))
    else:
        for row in rows:
            click.echo(f"{row['category']}/{row['name']}-{row['version']}: {row['image']}")
