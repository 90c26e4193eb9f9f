# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm image inspect`` and ``farm image verify``: image files."""

from __future__ import annotations

from pathlib import Path

import click

from farm.cli.image.session import boards_option, folders_of
from farm.cli.session import values_option
from farm.cli.show import plural, print_json, print_problems

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE, metavar="FILE.img")
@click.option(
    "--svg", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Draw the card into a file."
)
@click.option("--json", is_flag=True, help="Print plain data.")
def inspect(file: Path, svg: Path | None, json: bool) -> None:
    """Show the partitions, file systems and boot loaders of an image (or a card), and where they lie."""
    from farm.image import picture
    from farm.image.inspect import inspect as look
    from farm.spec.whole import write_whole

    found = look(file)
    if svg:
        write_whole(svg, picture.svg(found).encode())
    if json:
        print_json(found.to_json())
    else:
        click.echo("\n".join(picture.text(found)))


@click.command()
@click.argument("file", type=_FILE, metavar="FILE.img")
@click.option("--board", metavar="BOARD", help="Whose image it is (default: as the file is named).")
@boards_option
@values_option
@click.option("--public-key", metavar="TEXT|FILE", help="The digests have to be signed with this minisign key.")
@click.option("--json", is_flag=True, help="Print plain data.")
def verify(
    file: Path,
    board: str | None,
    folders: tuple[Path, ...],
    values: tuple[Path, ...],
    public_key: str | None,
    json: bool,
) -> None:
    """Check an image: table, file systems, boot loaders, boot files, digests and signature beside it."""
    from farm.image.read import board_files, find_board, read_board
    from farm.image.sums import verify_sums
    from farm.image.verify import verify_image
    from farm.spec.values import read_value_files
    from farm.store.keys import read_public

    known = board_files(folders_of(folders))
    name = board or (file.name.split(".")[0] if file.name.split(".")[0] in known else None)
    made = read_board(find_board(name, folders_of(folders)), read_value_files(values)) if name else None
    key = read_public(_key_text(public_key), "--public-key") if public_key else None
    found, problems = verify_image(file, made)
    right, wrong = verify_sums(file, key)
    problems += wrong
    if json:
        print_json({**found.to_json(), "digests": right, "problems": [p.to_json() for p in problems]})
    else:
        print_problems(problems, err=False)
        whose = f"as the image of {made.name}" if made else "by itself (no board of that name)"
        click.echo(f"{file.name}: checked {whose}; {plural(len(right), 'digest')} and signatures are right")
    raise SystemExit(1 if any(p.severity == "error" for p in problems) else 0)


def _key_text(given: str) -> str:
    """The text of a key file, or the key itself."""
    return Path(given).read_text(errors="replace") if Path(given).is_file() else given
