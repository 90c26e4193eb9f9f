# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm image list`` and ``farm image show``: boards, as their files say."""

from __future__ import annotations

from pathlib import Path

import click

from farm.cli.image.session import boards_option, folders_of
from farm.cli.session import values_option
from farm.cli.show import print_json, print_problems, size, table


@click.command("list")
@boards_option
@click.option("--json", is_flag=True, help="Print plain data.")
def list(folders: tuple[Path, ...], json: bool) -> None:
    """List the boards that there are files for."""
    from farm.image.read import board_files, try_boards

    boards, problems = try_boards([*board_files(folders_of(folders)).values()], {})
    if json:
        print_json([board.to_json() for board in boards])
    elif boards or not problems:
        rows = [[b.name, b.platform, size(b.size), b.test.machine if b.test else "-", b.description] for b in boards]
        click.echo(table(rows) if rows else "there are no board files")
    print_problems(problems)
    raise SystemExit(1 if problems else 0)


@click.command()
@click.argument("name", metavar="BOARD")
@boards_option
@values_option
@click.option("--json", is_flag=True, help="Print plain data.")
def show(name: str, folders: tuple[Path, ...], values: tuple[Path, ...], json: bool) -> None:
    """Show what a board's image is made of, and where everything lies on the card."""
    from farm.image.describe import describe_board
    from farm.image.read import find_board, read_board
    from farm.spec.values import read_value_files

    board = read_board(find_board(name, folders_of(folders)), read_value_files(values))
    if json:
        print_json(board.to_json())
    else:
        click.echo("\n".join(describe_board(board)))
