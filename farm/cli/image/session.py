# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands of ``farm image`` share: which boards are meant, their plan, what becomes of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from farm.cli.deliver import Delivered
from farm.cli.session import Session
from farm.cli.show import plural, print_problems

if TYPE_CHECKING:
    from farm.engine.summary import Summary
    from farm.image.model import Board
    from farm.plan.node import Plan

Sign = Callable[[bytes, str], bytes]

boards_option = click.option(
    "--boards", "folders", multiple=True, type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Folder of board files (default: images); may be repeated.",
)  # fmt: skip


def folders_of(folders: Sequence[Path]) -> list[Path]:
    """Where board files are looked for."""
    return list(folders) or [Path("images")]


def open_boards(names: Sequence[str], every: bool, options: dict[str, Any]) -> tuple[list[Board], Session]:
    """The boards that are meant, and a session that has their trees as well. FarmError with all that is wrong."""
    from farm.image.read import board_files, find_board, read_boards
    from farm.spec.values import read_value_files

    folders = folders_of(options.get("folders", ()))
    files = [find_board(name, folders) for name in names]
    files += [path for path in board_files(folders).values() if every and path.absolute() not in files]
    if not files:
        empty = f"there are no board files in {', '.join(map(str, folders))}"
        raise click.UsageError(empty if every else "name at least one BOARD, or use --all")
    boards = read_boards(files, read_value_files(options.get("values", ())))
    trees = dict.fromkeys([*options.get("tree", ()), *(tree for board in boards for tree in board.trees)])
    return boards, Session.of({**options, "tree": tuple(trees)})


def plan_of(boards: Sequence[Board], session: Session) -> Plan:
    """The plan that makes the images."""
    from farm.image.graph import plan_boards

    return plan_boards(boards, session.tree, lambda packages, platform: session.plan_of(packages, platform=platform))


def deliver_images(
    boards: Sequence[Board], plan: Plan, summary: Summary, session: Session, sign: Sign | None = None
) -> list[Delivered]:
    """Puts what was made into the destination; without one, tells where it lies in the store."""
    from farm.engine.origin import Known
    from farm.image.deliver import deliver, image_path
    from farm.image.graph import image_node
    from farm.image.sbom import sbom

    made = [board for board in boards if image_node(board.name) in summary.made]
    destination = session.settings.destination
    if destination is None:
        paths = [(board.name, image_path(board.name, summary.made, session.store)) for board in made]
        return [Delivered(f"image/{name}", path, "", path.stat().st_size) for name, path in paths]

    known = Known(plan, session.store)

    def describe(board: Board, sha256: str) -> bytes:
        return sbom(board, image_node(board.name), known, session.tree, sha256)

    files = deliver(made, summary.made, session.store, destination, describe, sign)
    return [Delivered(f"image/{f.board}", f.file, f.digests.sha256, f.digests.size) for f in files]


def finish(boards: Sequence[Board], summary: Summary) -> NoReturn:
    """Tells what the jobs found wrong with the board files, and exits with the run's status."""
    from farm.image.outcome import board_problems

    problems = board_problems(boards, summary)
    print_problems(problems)
    if problems:
        click.echo(f"{plural(len(problems), 'problem')} in the board files", err=True)
    if summary.outcome == "cancelled":
        raise SystemExit(130)
    raise SystemExit(0 if summary.outcome == "ok" else 1)


def signer(name: str) -> Sign:
    """Signs with a key of the user's keyring; asks for its password when it has one."""
    from farm.store.keys import Keyring
    from farm.store.signature import sign

    secret = Keyring.of_user().secret(name, lambda: click.prompt("Password", hide_input=True, err=True))
    return lambda content, comment: sign(content, secret, comment)
