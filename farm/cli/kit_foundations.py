# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit merge --foundations`` and ``farm kit foundations``: kits by Funtoo's foundations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.kit_options import FILE, FOLDER, as_json, failure_told, notify
from farm.cli.session import with_options
from farm.cli.show import plural, print_json, print_problems, table

if TYPE_CHECKING:
    from farm.kit.foundations.drive import Made
    from farm.kit.foundations.model import Foundations, Release
    from farm.kit.run import RunOptions

_urls = (
    click.option("--overlay-url", default="", metavar="URL", help="Where overlays without a URL are; has {overlay}."),
    click.option("--kit-url", default="", metavar="URL", help="Where the kits are; has {kit}."),
)
release_option = click.option(
    "--release", metavar="NAME", help="Which release of the foundations (default: the only one)."
)
foundations_options = with_options(
    click.option("--foundations", type=FILE, metavar="FILE", help="Make kits by these foundations."),
    release_option,
    click.option("--kit", "kits", multiple=True, metavar="NAME", help="Only this kit; may be repeated."),
    click.option("--package-sets", type=FOLDER, metavar="DIR", help="Default: package-sets beside the foundations."),
    click.option("--fixups", type=FOLDER, metavar="DIR", help="Default: the foundations' own folder."),
    *_urls,
)
"""Options with which ``farm kit merge`` is driven by foundations."""


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@release_option
@with_options(*_urls, as_json)
def foundations(file: Path, release: str | None, overlay_url: str, kit_url: str, json: bool) -> None:
    """Check foundations, and show the kits of a release: order, branches, sources, stability, type."""
    from farm.kit.foundations.info import kit_info, python_settings

    read, chosen = _read(file, release, overlay_url, kit_url)
    if json:
        known = {"release": chosen.name, "python_settings": python_settings(chosen)}
        print_json({**known, **kit_info(chosen), "problems": [p.to_json() for p in read.problems]})
        return
    print_problems(read.problems)
    rows = [[kit.name, kit.branch, kit.type, kit.stability, kit.source] for kit in chosen.kits]
    click.echo(table([["kit", "branch", "type", "stability", "source"], *rows]))


def merge_by_foundations(file: Path, run: RunOptions, options: Mapping[str, Any]) -> None:
    """Makes the kits of a release, says what became of each, and ends the command with its status."""
    from farm.kit.foundations.drive import Wish, merge_release

    read, release = _read(file, options["release"], options["overlay_url"], options["kit_url"])
    sets = options["package_sets"] or file.parent / "package-sets"
    wish = Wish(read, release, sets, options["fixups"] or file.parent, tuple(options["kits"]))
    with failure_told(options):
        made = merge_release(wish, run)
    failed = any(one.report.failed for one in made)
    if made:
        made[0].report.problems += notify(options, [line for one in made for line in one.report.news()])
    if options["json"]:
        print_json({"release": release.name, "kits": [_document(one, options) for one in made],
                    "problems": [p.to_json() for p in read.problems]})  # fmt: skip
    else:
        print_problems(read.problems)
        for one in made:
            _show(one, options)
    raise SystemExit(1 if failed else 0)


def _read(file: Path, release: str | None, overlay_url: str, kit_url: str) -> tuple[Foundations, Release]:
    from farm.kit.foundations.reading import read_foundations
    from farm.kit.foundations.resolve import release_of

    read = read_foundations(file, overlay_url=overlay_url, kit_url=kit_url)
    return read, release_of(read, release)


def _document(made: Made, options: Mapping[str, Any]) -> dict[str, Any]:
    packages = {} if made.content is None else {
        name: {"overlay": taken.overlay.name if taken.overlay else None, "name": taken.name}
        for name, taken in made.content.packages.items()
    }  # fmt: skip
    more = {"diff": made.report.diff} if options["dry_run"] else {}
    return {"kit": made.kit.name, "branch": made.kit.branch, "packages": packages, **made.report.to_json(), **more}


def _show(made: Made, options: Mapping[str, Any]) -> None:
    print_problems(made.report.problems)
    if options["dry_run"]:
        click.echo(made.report.diff, nl=bool(made.report.diff) and not made.report.diff.endswith("\n"))
    count = len(made.content.packages) if made.content else 0
    changes = plural(len(made.report.delivered), "change") if made.report.delivered else "nothing to do"
    state = ", with errors" if made.report.failed else ""
    click.echo(f"{made.kit.name} {made.kit.branch}: {plural(count, 'package')}, {changes}{state}")
