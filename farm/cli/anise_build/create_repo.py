# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build create-repo``: a wagon, or the next revision of one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.anise_build.flags import FOLDER, config_file, persistent, without_meaning
from farm.cli.pflag import GoCommand, switch, words

if TYPE_CHECKING:
    from farm.client.config import RepositoryConfig
    from farm.wagon.create import Created


@click.command("create-repo", cls=GoCommand)
@words("--tree", "-t", help="A spec tree (default: the working directory).")
@click.option("--packages", type=FOLDER, default="build", show_default=True, help="The folder with the packages.")
@click.option("--output", type=FOLDER, default="build", show_default=True, help="The wagon's folder.")
@click.option("--name", default="luet", show_default=True, help="The wagon's name.")
@click.option("--descr", default="luet", show_default=True, help="The wagon's description.")
@words("--urls", help="Where clients will find it.")
@click.option("--type", default="disk", show_default=True, help="http, disk or docker.")
@click.option("--repo", help="Take name, description, type and URLs of this repository of the configuration.")
@click.option("--tree-compression", default="none", show_default=True, help="none (by file name), gzip or zstd.")
@click.option("--tree-filename", default="tree.tar", show_default=True, help="The name of the tree's tarball.")
@switch("--with-compilertree", help="Publish the spec trees, too.")
@switch("--reset-revision", help="Begin at revision 1.")
@switch("--from-repositories", help="Also the trees of the wagons that are configured.")
@without_meaning(
    texts=("--backend", "--meta-compression", "--meta-filename"),
    switches=("--force-push", "--push-images", "--check-package-tarball", "--from-metadata"),
)
@persistent
@click.pass_context
def create_repo(context: click.Context, /, **options: Any) -> None:
    """Make a wagon of the packages in a folder that the trees define."""
    from farm.cli.anise_build.surroundings import open_session
    from farm.cli.show import print_problems
    from farm.cli.wagon import digest_cache
    from farm.wagon.create import Request, create_wagon, epoch_of

    compression, filename = tree_file(options["tree_compression"], options["tree_filename"])
    session = open_session(context, options)
    known = _configured(context, options["repo"])
    created = create_wagon(
        Request(
            session.tree,
            options["packages"],
            options["output"],
            name=known.name if known else options["name"],
            description=known.description if known else options["descr"],
            urls=known.urls if known else options["urls"],
            type=known.type if known else options["type"],
            priority=known.priority if known else None,
            tree_compression=compression,
            tree_filename=filename,
            compilertree=options["with_compilertree"],
            reset_revision=options["reset_revision"],
            epoch=epoch_of(),
            cache=digest_cache(session.settings.store, options["output"]),
        )
    )
    print_problems(created.warnings)
    _report(created, options["output"])


def tree_file(compression: str, filename: str) -> tuple[str, str]:
    """Compression and name of the tree's tarball; ``none`` leaves the choice to the name, as anise-build does.

    FarmError ``bad-compression``.
    """
    from farm.spec.problem import error
    from farm.wagon.metadata import COMPRESSIONS, compression_of

    if compression not in COMPRESSIONS:
        raise error("bad-compression", f"{compression!r} is no compression", hint="write none, gzip or zstd")
    if compression == "none":
        return compression_of(filename), filename
    end = COMPRESSIONS[compression]
    return compression, filename if filename.endswith(end) else filename + end


def _configured(context: click.Context, name: str | None) -> RepositoryConfig | None:
    from farm.client.config import read_config

    return read_config(config_file(context)).repository(name) if name else None


def _report(created: Created, output: Path) -> None:
    repository = created.repository
    done = "Created" if created.changed else "Unchanged:"
    click.echo(f"{done} repository {repository.name}, revision {repository.revision}, in {output}")
    for id in created.packages:
        click.echo(f"  {id}")
    for name in created.collected.not_in_tree:
        click.echo(f"left out, as no tree defines it: {name}")
