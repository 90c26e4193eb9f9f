# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm build``: from specs to packages."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Protocol

import click

from farm.cli.deliver import deliver, prepare
from farm.cli.report import report, report_json
from farm.cli.session import Session, plan_options
from farm.cli.show import print_problems
from farm.engine.events import Event
from farm.engine.making import Makers
from farm.engine.summary import Summary
from farm.plan.node import Plan
from farm.runner.rootless import ensure_privileges


class Screen(Protocol):
    """A consumer of events that may have something to put away."""

    def __call__(self, event: Event) -> None:
        """Takes one event."""

    def close(self) -> None:
        """Puts away what it has on the screen."""


@click.command()
@plan_options
@click.option("--jobs", "-j", type=click.IntRange(1), help="How many jobs run at a time (default: as many as cores).")
@click.option("--keep-going/--no-keep-going", "-k", default=None, help="Go on with all that does not need what failed.")
@click.option("--destination", type=click.Path(file_okay=False, path_type=Path), help="Put the packages there, too.")
@click.option("--plain", is_flag=True, help="Plain lines even on a terminal.")
def build(plain: bool, **options: object) -> None:
    """Make the packages TARGETS, and all they need, in isolated jobs.

    The exit status is 0 when all of them were made, 1 when not, 130 when the run was cancelled.
    """
    ensure_privileges(sys.argv)
    session = Session.of(options)
    if boards := boards_among(session):
        from farm.cli.image.build import build_boards

        build_boards(session, boards, plain, options)
    prepare(session.settings.destination)
    plan = session.plan()
    print_problems(plan.problems)
    with session.store:
        summary = run(session, plan, screen_of(session.json, plain))
        packages = deliver(plan, summary, session)
        if session.settings.destination:
            from farm.cli.beside import write_beside

            write_beside(packages, plan, session)
    if session.json:
        report_json(plan, summary, packages)
    else:
        report(plan, summary, packages, session.store_option())
    if summary.outcome == "cancelled":
        raise SystemExit(130)
    raise SystemExit(0 if summary.outcome == "ok" and not plan.problems else 1)


def boards_among(session: Session) -> tuple[str, ...]:
    """Targets that are boards: a file images/NAME.yaml, and no package of that name."""
    named = [name for name in session.targets if "/" not in name and Path("images", f"{name}.yaml").is_file()]
    known = {package.name for package in session.tree.packages} if named else set()
    return tuple(name for name in named if name not in known)


def run(session: Session, plan: Plan, screen: Screen, makers: Makers | None = None) -> Summary:
    """Runs a plan as the settings say, telling the screen, until it is done or a signal cancels it."""
    from farm.engine.journal import Journal
    from farm.engine.loop import Options, run_plan
    from farm.engine.platforms import require_platforms

    settings = session.settings
    argv = tuple(sys.argv)
    options = Options(jobs=settings.jobs or 0, keep_going=settings.keep_going, argv=argv, makers=makers or {})
    with (
        contextlib.closing(screen),
        session.runner() as runner,
        Journal(session.store.root) as journal,
        cancelled_by_signals(screen.close) as cancel,
    ):
        require_platforms(plan, session.store, journal)
        return run_plan(plan, session.store, runner, journal, options, [screen], cancel)


def screen_of(lines: bool, plain: bool) -> Screen:
    """The screen that fits: JSON lines, plain lines, or a live view on a terminal."""
    if lines:
        from farm.cli.screen.lines import JsonScreen

        return JsonScreen()
    if plain or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        from farm.cli.screen.plain import PlainScreen

        return PlainScreen()
    from farm.cli.screen.live import LiveScreen

    return LiveScreen()


@contextlib.contextmanager
def cancelled_by_signals(restore_screen: Callable[[], None]) -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM or SIGHUP sets; the second one ends the process at once."""
    cancel = threading.Event()

    def handle(number: int, _frame: FrameType | None) -> None:
        if cancel.is_set():
            restore_screen()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        cancel.set()
        with contextlib.suppress(OSError):  # the terminal may be gone
            os.write(2, b"\nstopping: running jobs are being stopped; once more ends at once\n")

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
