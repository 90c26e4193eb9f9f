# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm image boot`` and ``farm image test``: images in QEMU."""

from __future__ import annotations

import functools
import json as jsonlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.image.session import boards_option, finish, open_boards, plan_of
from farm.cli.session import session_options
from farm.cli.show import print_json, print_problems, printable
from farm.runner.rootless import ensure_privileges

if TYPE_CHECKING:
    from farm.image.boot.trial import Trial
    from farm.image.model import Board
    from farm.plan.node import Result

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIR = click.Path(file_okay=False, path_type=Path)
timeout_option = click.option("--timeout", metavar="TIME", help="How long to wait for the login prompt, as 90s or 10m.")
image_option = click.option("--image", "file", type=_FILE, help="Boot this file instead of making the board's image.")


@click.command()
@click.argument("name", metavar="BOARD")
@boards_option
@session_options
@image_option
@timeout_option
@click.option("--interactive", "-i", is_flag=True, help="Give this terminal the console; Ctrl-] ends.")
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), help="Keep the console's log in this file.")
def boot(name: str, file: Path | None, interactive: bool, log: Path | None, **options: Any) -> None:
    """Start the image of BOARD in QEMU, on a copy of the card, until the login prompt or as long as you like."""
    from farm.image.boot.interactive import converse, watch

    ensure_privileges(sys.argv)
    for board, image, loader, scratch, _wagon in _images((name,), False, file, options):
        target = log or scratch / "console.log"
        status = converse(board, image, loader, scratch, target) if interactive else watch(
            board, image, loader, scratch, target, lambda text: click.echo(text, nl=False)
        )  # fmt: skip
        raise SystemExit(status)


@click.command()
@click.argument("names", nargs=-1, metavar="[BOARD]...")
@boards_option
@session_options
@click.option("--all", "every", is_flag=True, help="All boards of the folders.")
@image_option
@timeout_option
@click.option("--artifacts", type=_DIR, default=Path("boot-tests"), help="Logs, screenshots, reports (boot-tests).")
def test(names: tuple[str, ...], every: bool, file: Path | None, artifacts: Path, **options: Any) -> None:
    """Boot images of BOARDS in QEMU, one after the other, and check what runs in them.

    The exit status is 0 when all went well. ARTIFACTS gets junit.xml, boot-tests.json, and the consoles' logs.
    """
    from farm.image.boot.report import as_json, junit
    from farm.image.boot.trial import try_board
    from farm.spec.whole import write_whole

    ensure_privileges(sys.argv)
    trials: list[Trial] = []
    for board, image, loader, scratch, wagon in _images(names, every, file, options, with_packages=True):
        with wagon() as port:
            trials.append(try_board(board, image, loader, scratch, artifacts, port))
        if not options["json"]:
            _tell(trials[-1])
        write_whole(artifacts / "junit.xml", junit(trials))
        write_whole(artifacts / "boot-tests.json", jsonlib.dumps(as_json(trials), indent=1).encode() + b"\n")
    if options["json"]:
        print_json(as_json(trials))
    raise SystemExit(0 if all(trial.ok for trial in trials) else 1)


def _images(
    names: tuple[str, ...], every: bool, file: Path | None, options: dict[str, Any], *, with_packages: bool = False
) -> Iterator[tuple[Board, Path, Path | None, Path, Callable[[], AbstractContextManager[int]]]]:
    """Each board with its image, the boot loader's package for virt, a scratch folder, and what serves the wagon that
    its guest installs from; made first when needed."""
    from farm.cli.build import run, screen_of
    from farm.cli.image.wagon import served
    from farm.image.boot.prepare import patient
    from farm.image.deliver import image_path
    from farm.image.graph import loader_node, only
    from farm.image.inspect import inspect
    from farm.spec.quantity import parse_duration

    boards, session = open_boards(names, every, options)
    if file and len(boards) != 1:
        raise click.UsageError("--image goes with one BOARD")
    if file:
        inspect(file)  # a file that is packed, or no image at all, is not worth a boot
    limit = options.get("timeout")
    boards = [patient(board, parse_duration(limit) if limit else None) for board in boards]
    plan = plan_of(boards, session)
    wanted = only(plan, boards, with_images=file is None, with_packages=with_packages)
    print_problems(plan.problems)
    with session.store as store:
        made: Mapping[str, Result] = {}
        if wanted.nodes:  # a file that needs no boot loader for virt needs nothing to be made
            summary = run(session, wanted, screen_of(False, not sys.stderr.isatty()))
            made = summary.made
            if summary.outcome != "ok":
                from farm.cli.report import report

                report(wanted, summary, [], session.store_option())
                finish(boards, summary)
        for board in boards:
            loader = loader_node(plan, board)
            package = made[loader].package if loader else None
            image = file or image_path(board.name, made, store)
            with store.scratch("boot") as scratch:
                wagon = functools.partial(served, board, plan, made, session, scratch)
                yield board, image, store.blob_path(package) if package else None, scratch, wagon


def _tell(trial: Trial) -> None:
    mark = click.style("ok", fg="green") if trial.ok else click.style("FAILED", fg="red", bold=True)
    login = f"login prompt after {trial.login:.1f} s" if trial.login else "no login prompt"
    click.echo(f"{trial.board}: {mark}, {login}, {trial.seconds:.1f} s in all; {trial.ended}")
    click.echo(f"  {trial.way}")
    if trial.problem:
        click.echo(f"  {printable(trial.problem)}")
    for check in trial.checks:
        said = printable(" ".join(check.output.split()))[:100]
        word = "FAILED" if check.problem else "skipped" if check.skipped else "ok"
        click.echo(f"  {word:7}  {printable(check.name)}: {check.problem or said}")
    click.echo(f"  console: {trial.console}")
