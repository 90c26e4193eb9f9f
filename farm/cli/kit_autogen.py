# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit autogen``: new ebuilds out of what upstream released."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from farm.cli.show import plural, print_json, print_problems

if TYPE_CHECKING:
    from farm.kit.autogen.command import Report

Command = TypeVar("Command", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)

_DEFAULTS = {"to": Path("workdir"), "concurrency": 3, "deep": 5, "backend": "dir"}

_MINIO = tuple(
    click.option(f"--minio-{name}", help=f"S3: the {what} (else {variable}).")
    for name, what, variable in (
        ("bucket", "bucket", "MINIO_BUCKET"),
        ("endpoint", "address", "MINIO_URL"),
        ("keyid", "access key", "MINIO_ID"),
        ("prefix", "prefix of all paths", "MINIO_PREFIX"),
        ("region", "region", "MINIO_REGION"),
        ("secret", "secret key; better in the environment", "MINIO_SECRET"),
    )
)


def with_options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """All these options on one command."""
    return lambda command: functools.reduce(lambda made, option: option(made), reversed(options), command)


backend_options = with_options(
    click.option("--backend", type=click.Choice(["dir", "s3"]), default="dir", show_default=True,
                 help="Where distfiles are brought to."),
    click.option("--layout", metavar="LAYOUT", multiple=True,
                 help="How they lie there: flat (default), content-hash, or 'content-hash SHA512 8:8:8'."),
    *_MINIO,
)  # fmt: skip
"""Options of commands that write a mirror."""

thin_options = with_options(
    click.option("--specfile", type=FILE, required=True, help="The autogen specification."),
    click.option("--kitfile", "-k", type=FILE, required=True, help="The kit specification, with the target."),
    click.option("--pkg", multiple=True, metavar="NAME", help="Only this package; may be repeated."),
    click.option("--to", type=FOLDER, default=_DEFAULTS["to"], show_default=True, help="The work folder."),
    click.option(
        "--download-dir", type=FOLDER, help="Where distfiles are put (default: downloads in the work folder)."
    ),
    click.option("--concurrency", type=click.IntRange(1, 64), default=3, show_default=True, help="Packages at a time."),
    click.option("--show-values", is_flag=True, help="Print what each template gets to see."),
    click.option("--verbose", is_flag=True, help="Say more."),
    click.option("--seed", metavar="NAME", help="The seed of farm.yaml that custom scripts run in."),
    click.option("--script-network", is_flag=True, help="Custom scripts may use the network."),
    click.option("--config", "-c", type=FILE, help="mark-devkit's configuration, for its tokens."),
    click.option("--store", type=FOLDER, help="The store: what was downloaded is kept there."),
    click.option("--json", is_flag=True, help="Print plain data."),
    click.option("--dry-run", "-n", is_flag=True, help="Only say what would be written."),
    click.option("--stop-on-error", is_flag=True, help="Begin no other package after a failure."),
)


@click.command()
@thin_options
@click.option("--thin", is_flag=True, help="Only write the ebuilds into the work folder: no merge, no git.")
@click.option("--deep", type=click.IntRange(0), default=5, show_default=True, help="Commits to fetch; 0: all.")
@click.option("--force-merge-check", is_flag=True, help="Generate versions that the kit has, too, and compare.")
@click.option("--skip-merge", is_flag=True, help="As --thin, but look at the kit for what it has.")
@click.option("--sync/--no-sync", default=True, show_default=True, help="Bring new distfiles to the mirror.")
@click.option("--push", is_flag=True, help="Push what was committed.")
@click.option("--pr", is_flag=True, help="A pull request for each package.")
@click.option("--github-user", help="Whose repository the pull requests are for.")
@click.option("--signature-name", help="Who commits: name.")
@click.option("--signature-email", help="Who commits: address.")
@click.option("--mirror-dir", type=FOLDER, help="The folder of --backend dir (default: the download folder).")
@backend_options
def autogen(**options: Any) -> None:
    """Generate new ebuilds from a specification, and merge them into the kit that the kit file names.

    The exit status is 1 when a package failed; the others are done all the same.
    """
    run_autogen(options)


def run_autogen(options: Mapping[str, Any]) -> None:
    """What both spellings of the command do."""
    from farm.kit.autogen.command import Request, autogen

    report = autogen(Request.of(options), say=_sayer(options))
    show(report, options)
    raise SystemExit(1 if report.failed else 0)


def _sayer(options: Mapping[str, Any]) -> Callable[[str], None]:
    return (lambda line: click.echo(line, err=True)) if options.get("verbose") else (lambda _line: None)


def show(report: Report, options: Mapping[str, Any]) -> None:
    """The report, as text or as JSON."""
    if options.get("json"):
        print_json(report.to_json())
        return
    print_problems(report.warnings)
    if options.get("show_values"):
        _show_values(report)
    for outcome in report.outcomes:
        version = f"-{outcome.version}" if outcome.version else ""
        click.echo(f"  {outcome.status:9} {outcome.atom.catpkg}{version}")
        print_problems(outcome.problems)
    print_problems(report.problems)
    word = "would write" if options.get("dry_run") else "wrote"
    for path in report.written:
        click.echo(f"{word} {path}")
    for line in report.notes:
        click.echo(line)
    counts = {
        status: sum(o.status == status for o in report.outcomes)
        for status in ("generated", "present", "failed", "skipped")
    }
    parts = [f"{count} {status}" for status, count in counts.items() if count]
    click.echo(f"{plural(len(report.outcomes), 'package')}: {', '.join(parts) or 'nothing to do'}")


def _show_values(report: Report) -> None:
    import yaml

    for outcome in report.outcomes:
        if outcome.generated:
            click.echo(f"--- {outcome.generated.cpv}")
            click.echo(yaml.safe_dump(outcome.generated.values, allow_unicode=True, sort_keys=True).rstrip())
