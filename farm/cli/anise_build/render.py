# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build tree render``: a package's build.yaml as it is built."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import click

from farm.cli.anise_build.flags import TREE, persistent, without_meaning
from farm.cli.pflag import GoCommand, words

if TYPE_CHECKING:
    from farm.spec.model import Build


@click.command("render", cls=GoCommand)
@click.argument("packages", nargs=-1, metavar="PACKAGE")
@click.option("--tree", "-t", multiple=True, type=TREE, help="A spec tree (default: the working directory).")
@words("--values", help="Value files; later ones win.")
@click.option("--output", "-o", default="terminal", help="terminal, json or yaml.")
@without_meaning(texts=("--templates-dir",))
@persistent
@click.pass_context
def render(context: click.Context, /, packages: tuple[str, ...], **options: Any) -> None:
    """Print the rendered build.yaml of each version of PACKAGE (category/name[@selector])."""
    from farm.cli.anise_build.surroundings import open_session
    from farm.spec.problem import FarmError, error
    from farm.spec.targets import find_versions
    from farm.wagon.plainyaml import dump

    if not packages:
        raise error("missing-package", "No package selected.")
    tree = open_session(context, options).tree
    for id in find_versions(tree, packages[0]):
        build = tree.packages[id].build
        if build is None:
            problems = [problem for problem in tree.problems if problem.package == str(id)]
            raise FarmError(problems) if problems else error("missing-build", f"{id} has no build.yaml")
        if options["output"] == "json":
            click.echo(json.dumps(build_document(build)))
        else:
            if options["output"] == "terminal":
                click.echo(f"Processing package {id}...\n")
            click.echo(dump(build_document(build)))


def build_document(build: Build) -> dict[str, Any]:
    """A build as a build.yaml has it, without what is empty. The reverse of `farm.spec.package.make_build`."""
    return {field.name: data for field in dataclasses.fields(build) if (data := _plain(getattr(build, field.name)))}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = ((field.name.replace("_", "-"), getattr(value, field.name)) for field in dataclasses.fields(value))
        return {key: _plain(item) for key, item in items if item not in (None, "", ())}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
