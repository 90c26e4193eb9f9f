# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm metro``: runs jobs of mark-devkit's metro, with its flags."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.markgroup import MarkCommand, ShortGroup
from farm.cli.pflag import switch, words
from farm.cli.session import FOLDER, Session, settings_of
from farm.cli.show import print_json, print_problems

if TYPE_CHECKING:
    from farm.engine.making import Making
    from farm.engine.summary import Summary
    from farm.stage.metro.run import Ready, Wish

_HERE = "farm.cli.metro"
COMMANDS = {
    "run": (_HERE, "Run a job."),
    "list": (_HERE, "List the jobs of a file."),
    "show": ("farm.cli.diagnose", "Show a job as it comes out of its templates."),
}
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("metro", cls=ShortGroup, table=COMMANDS, short={"r": "run", "j": "run"})
def metro() -> None:
    """Run jobs of mark-devkit's metro: a root tarball or packages, hooks, a tarball."""


@click.command("run", cls=MarkCommand)
@click.option("--specfile", type=_FILE, required=True, help="The file with the job.")
@click.option("--job", required=True, help="The job.")
@switch("--cleanup", default=True, help="Leave nothing in the workspace; =false: the root stays there (rootfs).")
@click.option("--cpu", default="", help="No meaning here: foreign programs run by the kernel's binfmt_misc.")
@switch("--fchroot-debug", help="No meaning here.")
@switch("--quiet", help="Do not show what hooks write; it is in their logs.")
@switch("--skip-source-phase", help="Go on with the root that lies in the workspace.")
@switch("--skip-hooks-phase", help="Run no hooks.")
@switch("--skip-packer-phase", help="Make no tarball.")
@click.option("--config", "-c", type=_FILE, help="mark-devkit's configuration; only looked at.")
@switch("--debug", "-d", help="Say more.")
@switch("--allow-host-hooks", default=None, help="Let outer-… hooks run on this host.")
@words("--pass-env", help="A variable of the environment that hooks on the host get, too; may be repeated.")
@click.option("--date", help="The moment that templates take for now (default: SOURCE_DATE_EPOCH, else now).")
@switch("--fresh", help="Do not go on with an earlier run that failed.")
@click.option("--store", type=FOLDER, help="The store (default: FARM_STORE, else in the user's cache folder).")
@switch("--json", help="Write one event a line, and a summary last.")
@click.pass_context
def run(context: click.Context, /, **options: Any) -> None:
    """Run the job JOB of SPECFILE.

    The exit status is 0 when all was made, 1 when not, 130 when the run was cancelled.
    """
    from farm.runner.rootless import ensure_privileges
    from farm.stage.metro.run import ready

    ensure_privileges(sys.argv)
    _check_config(context, options)
    session = Session(settings_of({"store": options["store"]} if options["store"] else {}))
    with session.store as store, ready(_wish(context, options), store, session.settings.platform) as prepared:
        print_problems(prepared.warnings)
        summary = _carry_out(session, prepared, options)
    raise SystemExit({"ok": 0, "cancelled": 130}.get(summary.outcome, 1))


@click.command("list", cls=MarkCommand)
@click.option("--specfile", type=_FILE, required=True, help="The file with jobs.")
@switch("--json", help="Print plain data.")
def list(specfile: Path, json: bool) -> None:
    """List the jobs of SPECFILE, and what is wrong with each."""
    from farm.stage.metro.overview import overview

    jobs = overview(specfile)
    if json:
        print_json([job.to_json() for job in jobs])
        return
    for job in jobs:
        click.echo(f"{job.name}  ({job.source})  {job.output}")
        print_problems(job.problems)
    if any(problem.severity == "error" for job in jobs for problem in job.problems):
        raise SystemExit(1)


def _wish(context: click.Context, options: Mapping[str, Any]) -> Wish:
    from farm.stage.metro.run import Wish

    allowed = options["allow_host_hooks"]
    return Wish(
        options["specfile"],
        options["job"],
        cleanup=options["cleanup"],
        skip_source=options["skip_source_phase"],
        skip_hooks=options["skip_hooks_phase"],
        skip_packer=options["skip_packer_phase"],
        allow_host_hooks=_stands_in(context) if allowed is None else allowed,
        date=options["date"],
        fresh=options["fresh"],
        pass_env=options["pass_env"],
    )


def _stands_in(context: click.Context) -> bool:
    """Whether it was called as ``farm mark-devkit metro``, which runs hooks on the host as mark-devkit does."""
    names = []
    level: click.Context | None = context
    while level is not None:
        names.append(level.info_name)
        level = level.parent
    return "mark-devkit" in names


def _check_config(context: click.Context, options: Mapping[str, Any]) -> None:
    """mark-devkit's configuration has nothing that a job needs; one that cannot be read is an error all the same."""
    from farm.cli.markconfig import read_config

    given = options["config"] or (context.obj or {}).get("config")
    read_config(Path(given) if given else None)


def _carry_out(session: Session, prepared: Ready, options: Mapping[str, Any]) -> Summary:
    from farm.cli.build import cancelled_by_signals
    from farm.engine.journal import Journal
    from farm.engine.loop import Options, run_plan
    from farm.stage.metro.run import end

    store, plan = session.store, prepared.planned.plan
    screen = _screen(prepared, options)
    settings = Options(jobs=1, argv=tuple(sys.argv), makers=_makers())
    with (
        contextlib.closing(screen),
        session.runner() as runner,
        Journal(store.root) as journal,
        cancelled_by_signals(screen.close) as cancel,
    ):
        summary = run_plan(plan, store, runner, journal, settings, [screen], cancel)
        print_problems(end(prepared, store, summary.made, ok=summary.outcome == "ok", cancel=cancel))
    _tell(session, prepared, summary, options)
    return summary


def _tell(session: Session, prepared: Ready, summary: Summary, options: Mapping[str, Any]) -> None:
    from farm.cli.metroscreen import describe, report

    if not options["json"]:
        report(prepared, summary, session.store_option(), quiet=options["quiet"])
        return
    import json

    from farm.cli.metrodata import output_of
    from farm.engine.summary import summary_to_json

    failed = [describe(prepared, failed) for failed in summary.failures]
    told = {"job": prepared.job.name, "resumed": prepared.run.resumed, "failed": failed}
    output = output_of(prepared, summary.made)
    click.echo(json.dumps({"event": "summary", **summary_to_json(summary), **told, "output": output or None}))


def _screen(prepared: Ready, options: Mapping[str, Any]) -> Any:
    if options["json"]:
        from farm.cli.screen.lines import JsonScreen

        return JsonScreen()
    from farm.cli.metroscreen import HookScreen

    return HookScreen(prepared, quiet=options["quiet"])


def _makers() -> dict[str, Making]:
    from farm.client.metro import AniseRoot
    from farm.stage.metro.makers import makers
    from farm.stage.metro.plan import ANISE

    return {**makers(), ANISE: AniseRoot()}
