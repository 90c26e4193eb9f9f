# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit bump-release`` and ``farm kit revert-release``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.kit_foundations import release_option
from farm.cli.kit_options import (
    FILE,
    KitCommand,
    author_of,
    failure_told,
    notify,
    notify_option,
    servers_of,
    signature,
    specfile,
    work,
)
from farm.cli.kit_options import as_json as json_option
from farm.cli.session import with_options
from farm.cli.show import plural, print_json, print_problems, table

if TYPE_CHECKING:
    from farm.kit.release.run import Released, ReleaseOptions

_options = with_options(
    specfile,
    work,
    click.option("--push", is_flag=True, help="Push the commit."),
    click.option("--dry-run", "-n", is_flag=True, help="Change nothing, and show the difference."),
    click.option("--verbose", is_flag=True, help="Taken for the sake of scripts."),
    signature,
    notify_option,
    json_option,
)


@click.command("bump-release", cls=KitCommand)
@_options
@click.option("--foundations", type=FILE, metavar="FILE", help="Stability and type of kits are what this file says.")
@release_option
def bump_release(specfile: Path, foundations: Path | None, release: str | None, **options: Any) -> None:
    """Pin the present commit of every kit's branch in the meta-repo. Nothing is committed when nothing changed."""
    from farm.kit.foundations.info import ratings_of
    from farm.kit.release.run import bump_release as bump
    from farm.kit.specfile import read_release_spec

    with failure_told(options):
        done = bump(read_release_spec(specfile), _release_options(options), ratings_of(foundations, release))
    _show(done, options)


@click.command("revert-release", cls=KitCommand)
@_options
@click.argument("pin", metavar="COMMIT|DATE")
def revert_release(specfile: Path, pin: str, **options: Any) -> None:
    """Go back to the pins that the meta-repo had at a commit, or at the end of a day (UTC), by a new commit."""
    from farm.kit.release.run import revert_release as revert
    from farm.kit.specfile import read_release_spec

    with failure_told(options):
        done = revert(read_release_spec(specfile), _release_options(options), to=pin)
    _show(done, options)


def _release_options(options: dict[str, Any]) -> ReleaseOptions:
    from farm.kit.release.run import ReleaseOptions

    return ReleaseOptions(
        to=Path(options["to"]),
        servers=servers_of(options),
        author=author_of(options),
        push=options["push"],
        dry_run=options["dry_run"],
        depth=options["deep"],
        concurrency=options["concurrency"],
        keep=options["keep_workdir"],
    )


def _show(done: Released, options: dict[str, Any]) -> None:
    problems = notify(options, done.news())
    print_problems(problems)
    if options["json"]:
        print_json({**done.to_json(), **({"diff": done.diff} if options["dry_run"] else {})})
        return
    print_problems(done.problems)
    if options["dry_run"] and done.diff:
        click.echo(done.diff)
    rows = [[f"  {kit}", old[:12] or "new", "→", new[:12] or "gone"] for kit, (old, new) in done.moved.items()]
    if rows:
        click.echo(table(rows))
    state = "pushed" if done.pushed else "not pushed"
    what = f"{plural(len(done.moved), 'kit')} moved, {state}: {done.head[:12]}" if done.changed else "nothing to do"
    click.echo(what)
