# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm stage list``, ``verify``, ``next``, ``prune``, ``index``: looking after what is given out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from farm.cli.session import Command
from farm.cli.show import plural, print_json, size, table
from farm.cli.stageoptions import json_option, layout_of, library_of, library_options, output_option

_DAY = 86400.0


def _days(name: str, meaning: str) -> Callable[[Command], Command]:
    """An option of a number of days, one unless it is said."""
    return click.option(name, type=click.FloatRange(0), default=1.0, show_default=True, metavar="DAYS", help=meaning)


@click.command("list")
@output_option
@json_option
def list_(**options: Any) -> None:
    """List what is given out: every version of every release."""
    layout = layout_of(options)
    editions = layout.all()
    if options["json"]:
        from farm.stage.index import index_document

        print_json(index_document(layout))
        return
    rows = []
    for one in editions:
        latest = layout.latest(one.release)
        state = "latest" if latest and latest.version == one.version else "" if one.complete else "incomplete"
        formats = " ".join(str(output["format"]) for output in (one.info or {}).get("outputs", ()))
        rows.append([f"{one.release.folder}/{one.version}", one.release.target, size(one.size), formats, state])
    click.echo(table(rows) or f"nothing is given out in {layout.root}")


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="FILE|NAME...")
@library_options
@output_option
@click.option("--key", help="The minisign key that has to have signed it (default: the keys you trust).")
@click.option("--signed", is_flag=True, help="What is not signed is bad.")
@json_option
def verify(names: tuple[str, ...], key: str | None, signed: bool, **options: Any) -> None:
    """Check digests, signature and list of a FILE, or of all outputs of the newest version of the stage NAME.

    The exit status is 0 when all are good, 1 when not.
    """
    from farm.stage.verify import files_of, verify_output
    from farm.store.keys import Keyring

    library, layout = library_of(options), layout_of(options)
    ring = Keyring.of_user()
    trusted = [ring.public(key)] if key else list(ring.trusted())
    found = [
        finding
        for name in names
        for file in files_of(name, library, layout)
        for finding in verify_output(file, trusted, signed=signed or bool(key))
    ]
    if options["json"]:
        print_json([one.to_json() for one in found])
    else:
        colours = {"ok": "green", "bad": "red", "missing": "yellow"}
        for one in found:
            word = click.style(one.verdict.ljust(7), fg=colours[one.verdict])
            click.echo(f"{word} {one.file}  {one.what}  {click.style(one.detail, dim=True)}".rstrip())
    raise SystemExit(1 if any(one.verdict == "bad" for one in found) else 0)


@click.command("next")
@library_options
@output_option
@_days("--fresh", "A good build that is newer than this is new enough.")
@click.option("--target", multiple=True, help="Only stages with this target, for example stage3; repeatable.")
@json_option
def next_(fresh: float, target: tuple[str, ...], **options: Any) -> None:
    """Say which stage is to be built next: the one whose last good build is the longest ago.

    What failed three times in a row is left alone for a while. The exit status is 0 when there is one, 1 when not.
    """
    from farm.stage.nextbuild import candidates

    stages = library_of(options).stages(target)
    found = candidates(stages, layout_of(options), time.time(), fresh * _DAY)
    first = found[0] if found and found[0].fate == "build" else None
    if options["json"]:
        print_json({"next": first.stage.name if first else None, "candidates": [one.to_json() for one in found]})
    else:
        rows = [[one.fate, one.stage.name, f"{one.stage.release.folder}/{one.stage.release.target}", one.why]
                for one in found]  # fmt: skip
        click.echo(table(rows), err=True)
        click.echo(first.stage.name if first else "nothing is to be built", err=first is None)
    raise SystemExit(0 if first else 1)


@click.command()
@output_option
@click.option("--keep", type=click.IntRange(1), default=3, show_default=True, help="Complete versions to keep.")
@_days("--stale", "Incomplete versions older than this go.")
@click.option("--yes", is_flag=True, help="Remove; without it nothing is done but told.")
@click.option("--dry-run", is_flag=True, help="Remove nothing, also with --yes.")
@json_option
def prune(keep: int, stale: float, yes: bool, dry_run: bool, **options: Any) -> None:
    """Remove old versions. The newest complete one of a release always stays. Without --yes nothing is removed."""
    from farm.stage.index import write_index
    from farm.stage.retention import remove, verdicts

    layout = layout_of(options)
    judged = verdicts(layout, keep, stale * _DAY, time.time())
    removed = remove(layout, judged) if yes and not dry_run else []
    if removed:
        write_index(layout)
    if options["json"]:
        print_json({"removed": bool(removed), "versions": [one.to_json() for one in judged]})
        return
    rows = [["keep" if one.keep else "remove", f"{one.edition.release.folder}/{one.edition.version}",
             one.edition.release.target, size(one.edition.size), one.why] for one in judged]  # fmt: skip
    click.echo(table(rows) or "there is nothing")
    going = [one for one in judged if not one.keep]
    freed = size(sum(one.edition.size for one in going))
    told = "removed" if removed or not going else "to be removed (with --yes)"
    click.echo(f"{plural(len(going), 'version')} {told}, {freed}")


@click.command()
@output_option
@json_option
def index(**options: Any) -> None:
    """Write index.json and index.html anew."""
    from farm.stage.index import write_index

    layout = layout_of(options)
    document = write_index(layout)
    if options["json"]:
        print_json(document)
    else:
        click.echo(f"{layout.root / 'index.html'}: {plural(len(document['releases']), 'release')}")
