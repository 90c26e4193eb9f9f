# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm image write``: an image onto a card."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from farm.cli.show import print_json, size

if TYPE_CHECKING:
    from farm.image.burn import Progress, Source


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE.img[.zst|.xz]")
@click.argument("target", type=click.Path(path_type=Path), metavar="DEVICE|FILE")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", is_flag=True, help="Print plain data.")
def write(file: Path, target: Path, yes: bool, json: bool) -> None:
    """Write an image to a card (or into a file), only what its bmap file names, and read it back.

    A disk that is mounted, is swap, or is part of something else is refused.
    """
    from farm.image.burn import burn, open_source

    source = open_source(file)
    _confirm(source, target, yes)
    with _Bar(quiet=json) as progress:
        written = burn(source, target, progress)
    if json:
        print_json({"target": str(target), "written": written, "size": source.size, "verified": True})
    else:
        click.echo(f"{target}: wrote {size(written)} of {size(source.size)}, read back, all is right")


def _confirm(source: Source, target: Path, yes: bool) -> None:
    """Shows what will be overwritten and asks. FarmError when it must not be."""
    from farm.image.device import examine, is_device, refuse
    from farm.spec.problem import FarmError, error

    if target.exists() and target.samefile(source.file):
        raise error("bad-target", f"{target} is the image itself")
    if is_device(target):
        device = examine(target)
        kind = "removable" if device.removable else "NOT removable"
        click.echo(f"{target}: {device.model}, {size(device.size)}, {kind}", err=True)
        for held in device.holds or ("no partitions",):
            click.echo(f"  {held}", err=True)
        if problems := refuse(device, source.size):
            raise FarmError(problems)
    elif target.exists():
        if not target.is_file():
            raise error("bad-target", f"{target} is neither a block device nor a file")
        click.echo(f"{target}: a file of {size(target.stat().st_size)}", err=True)
    elif not target.parent.is_dir():
        raise error("bad-target", f"there is no folder {target.parent}")
    elif str(target).startswith("/dev/"):
        raise error("bad-target", f"there is no device {target}", hint="is the card in?")
    else:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise error("not-confirmed", f"{target} would be overwritten", hint="say --yes")
        click.confirm(f"Overwrite all of {target}?", abort=True, err=True)


class _Bar:
    """A progress bar for each phase; none where there is no terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._shown = not quiet and sys.stderr.isatty()
        self._phase = ""

    def __enter__(self) -> Progress:
        return self._progress

    def __exit__(self, *_failure: object) -> None:
        if self._phase:
            click.echo(err=True)

    def _progress(self, phase: str, done: int, total: int) -> None:
        if not self._shown:
            return
        if self._phase not in ("", phase):
            click.echo(err=True)
        self._phase = phase
        filled = 40 * done // max(total, 1)
        bar = "#" * filled + "." * (40 - filled)
        click.echo(f"\r{phase:>12} [{bar}] {size(done)} of {size(total)} ", nl=False, err=True)
