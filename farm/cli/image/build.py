# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm image build``: from source tarballs to card images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from farm.cli.image.session import boards_option, deliver_images, finish, open_boards, plan_of, signer
from farm.cli.session import session_options
from farm.cli.show import print_problems
from farm.runner.rootless import ensure_privileges


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
    from farm.cli.build import run, screen_of
    from farm.cli.deliver import prepare
    from farm.cli.report import report, report_json

    ensure_privileges(sys.argv)
    boards, session = open_boards(names, every, options)
    prepare(session.settings.destination)
    plan = plan_of(boards, session)
    sign = signer(key) if key else None
    print_problems(plan.problems)
    with session.store:
        summary = run(session, plan, screen_of(session.json, plain))
        files = deliver_images(boards, plan, summary, session, sign)
    if session.json:
        report_json(plan, summary, files)
    else:
        report(plan, summary, files, session.store_option())
    finish(boards, summary)
