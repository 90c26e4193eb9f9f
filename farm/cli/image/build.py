# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm image build``: from source tarballs to card images."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from farm.cli.image.session import Sign, boards_option, deliver_images, finish, open_boards, plan_of, signer
from farm.cli.session import Session, session_options
from farm.cli.show import print_problems
from farm.runner.rootless import ensure_privileges

if TYPE_CHECKING:
    from farm.image.model import Board
    from farm.plan.node import Plan


@click.command()
@click.argument("names", nargs=-1, metavar="[BOARD]...")
@boards_option
@session_options
@click.option("--all", "every", is_flag=True, help="All boards of the folders.")
@click.option("--destination", "-d", type=click.Path(file_okay=False, path_type=Path), help="Put the files there.")
@click.option("--sign", "key", metavar="KEY", help="Sign the digests with this key (see `farm key`).")
@click.option("--jobs", "-j", type=click.IntRange(1), help="How many jobs run at a time.")
@click.option("--keep-going/--no-keep-going", "-k", default=None, help="Go on with all that does not need what failed.")
@click.option("--runner", help="Where jobs run: sandbox (default) or docker.")
@click.option("--plain", is_flag=True, help="Plain lines even on a terminal.")
def build(names: tuple[str, ...], every: bool, key: str | None, plain: bool, **options: Any) -> None:
    """Make the images of BOARDS, from source tarballs on, in one graph."""
    ensure_privileges(sys.argv)
    boards, session = open_boards(names, every, options)
    make(boards, session, plan_of(boards, session), plain, signer(key) if key else None)


def build_boards(session: Session, names: tuple[str, ...], plain: bool, options: dict[str, Any]) -> NoReturn:
    """What `farm build` does when targets are boards: images and packages in one graph."""
    from farm.image.graph import joined
    from farm.spec.targets import find_targets

    boards, wider = open_boards(names, False, options)
    others = [target for target in session.targets if target not in names]
    plan = plan_of(boards, wider)
    if others:
        plan = joined([plan, wider.plan_of(find_targets(wider.tree, others))])
    make(boards, wider, plan, plain, None)


def make(boards: Sequence[Board], session: Session, plan: Plan, plain: bool, sign: Sign | None) -> NoReturn:
    """Runs a plan, puts the images where they belong, tells of it, and exits."""
    from farm.cli.build import run, screen_of
    from farm.cli.deliver import deliver, prepare
    from farm.cli.report import report, report_json

    prepare(session.settings.destination)
    print_problems(plan.problems)
    with session.store:
        summary = run(session, plan, screen_of(session.json, plain))
        packages = deliver(dataclasses.replace(plan, targets=_asked(plan, session)), summary, session)
        files = [*deliver_images(boards, plan, summary, session, sign), *packages]
    if session.json:
        report_json(plan, summary, files)
    else:
        report(plan, summary, files, session.store_option())
    finish(boards, summary)


def _asked(plan: Plan, session: Session) -> tuple[str, ...]:
    """Nodes of packages that the user named; boards have packages of their own among the targets."""
    named = {target.partition("@")[0] for target in session.targets}
    return tuple(node for node in plan.targets if (plan.nodes[node].package or "").rpartition("-")[0] in named)
