# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit merge`` and ``farm kit clean``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.kit_foundations import foundations_options
from farm.cli.kit_options import FILE, KitCommand, bot, bot_run, failure_told, notify, run_options
from farm.cli.show import plural, print_json, print_problems, table

if TYPE_CHECKING:
    from farm.kit.bot.delivery import Report


@click.command(cls=KitCommand)
@click.option("--specfile", type=FILE, metavar="FILE", help="The specification (YAML).")
@foundations_options
@bot_run
@click.option("--summary-file", type=FILE, metavar="FILE", help="Take sources at the commits that kit clone wrote.")
def merge(specfile: Path | None, foundations: Path | None, summary_file: Path | None, **options: Any) -> None:
    """Take the last version of each package, and eclasses, metadata, profiles and fixups, into the target kit.

    Without --push nothing leaves this host. The exit status is 1 when a part failed; what failed is named, the rest
    is done, and the next run does what is left.

    With --foundations the kits of a release are made by Funtoo's foundations instead.
    """
    if (specfile is None) == (foundations is None):
        raise click.UsageError("give --specfile or --foundations")
    if foundations:
        from farm.cli.kit_foundations import merge_by_foundations

        merge_by_foundations(foundations, run_options(options), options)
    assert specfile
    from farm.kit.clone import read_summary
    from farm.kit.run import run_merge
    from farm.kit.specfile import read_kit_spec

    pins = tuple(sorted(read_summary(summary_file).items())) if summary_file else ()
    with failure_told(options):
        report = run_merge(read_kit_spec(specfile), run_options(options, pins=pins))
    show_report(report, options)


@click.command(cls=KitCommand)
@bot
@click.option("--skip-masked", is_flag=True, help="Versions in package.mask neither count nor go.")
def clean(specfile: Path, skip_masked: bool, **options: Any) -> None:
    """Remove versions beyond max_versions from the target kit, oldest first, with what only they need.

    Exit status as merge's.
    """
    from farm.kit.run import run_clean
    from farm.kit.specfile import read_kit_spec

    with failure_told(options):
        report = run_clean(read_kit_spec(specfile), run_options(options, skip_masked=skip_masked))
    show_report(report, options)


def show_report(report: Report, options: dict[str, Any]) -> None:
    """Problems on standard error, then what became of each unit; ends the command with its status."""
    report.problems += notify(options, report.news())
    if options["json"]:
        print_json({**report.to_json(), **({"diff": report.diff} if options.get("dry_run") else {})})
    else:
        print_problems(report.problems)
        if options.get("dry_run"):
            click.echo(report.diff, nl=not report.diff.endswith("\n"))
        rows = [
            [f"  {d.state}", str(d.unit.ebuild or d.unit.subject), d.url or d.commit[:12]] for d in report.delivered
        ]
        if rows:
            click.echo(table(rows))
        for url in report.closed:
            click.echo(f"  closed  {url}")
        changed = sum(d.state not in ("queued", "declined", "by-hand", "failed") for d in report.delivered)
        bad = plural(sum(p.severity == "error" for p in report.problems), "error")
        what = plural(changed, "change") if report.delivered or report.closed else "nothing to do"
        click.echo(f"{what}, {bad}" if report.failed else what)
    raise SystemExit(1 if report.failed else 0)
