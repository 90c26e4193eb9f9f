# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit autogen`` and ``farm kit autogen-thin``: new ebuilds out of what upstream released."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from farm.cli.kit_options import (
    FILE,
    FOLDER,
    as_json,
    failure_told,
    forge,
    notify,
    notify_option,
    run_options,
    signature,
    specfile,
    store,
)
from farm.cli.session import with_options
from farm.cli.show import plural, print_json, print_problems

if TYPE_CHECKING:
    from farm.kit.autogen.command import Report
    from farm.kit.distfiles.backend import Backend
    from farm.kit.distfiles.layout import Layout

Command = TypeVar("Command", bound=Callable[..., Any])

_MINIO = {
    "bucket": "the bucket (else MINIO_BUCKET)",
    "endpoint": "the address (else MINIO_URL)",
    "keyid": "the access key (else MINIO_ID)",
    "prefix": "the prefix of all paths (else MINIO_PREFIX)",
    "region": "the region (else MINIO_REGION)",
    "secret": "the secret key; it is better put in MINIO_SECRET",
}


def switch(*names: str, help: str, default: bool = False) -> Callable[[Command], Command]:
    """A flag that may have a value behind ``=``, as Go's programs take it: ``--sync=false``."""
    return click.option(*names, type=bool, is_flag=False, flag_value="true", default=default, metavar="", help=help)


backend_options = with_options(
    click.option("--backend", type=click.Choice(["dir", "s3"]), default="dir", show_default=True,
                 help="Where distfiles are brought to: a folder or a bucket."),
    click.option("--layout", default="flat", show_default=True,
                 help="How they lie there: flat, content-hash, or 'content-hash SHA512 8:8:8'."),
    *(click.option(f"--minio-{name}", metavar="TEXT", help=f"For s3: {text}.") for name, text in _MINIO.items()),
)  # fmt: skip
"""Options of commands that write a mirror."""

_common = with_options(
    specfile,
    click.option(
        "--kitfile", "-k", type=FILE, required=True, metavar="FILE", help="The kit specification: target, atoms."
    ),
    click.option("--pkg", multiple=True, metavar="NAME", help="Only this package; may be repeated."),
    click.option("--to", type=FOLDER, default="workdir", show_default=True, help="The work folder."),
    click.option("--download-dir", type=FOLDER, help="Distfiles are put here, too."),
    click.option("--deep", type=click.IntRange(0), default=5, show_default=True, help="Commits of history fetched."),
    click.option("--concurrency", type=click.IntRange(1, 64), default=3, show_default=True, help="Packages at a time."),
    switch("--show-values", help="Print what each template gets to see."),
    switch("--verbose", help="Say what is being done."),
    switch("--stop-on-error", help="Begin no other package after a failure."),
    click.option("--dry-run", "-n", is_flag=True, help="Write nothing, and show what would be written."),
    click.option("--seed", metavar="NAME", help="The seed of farm.yaml that custom scripts run in."),
    click.option("--script-network", is_flag=True, help="Custom scripts may use the network."),
    store,
    as_json,
)


@click.command(name="autogen-thin")
@_common
def autogen_thin(**options: Any) -> None:
    """Generate ebuilds into the work folder (sources/KIT), and look at them: nothing is merged, no git is asked.

    The exit status is 1 when a package failed; the others are done all the same.
    """
    _run({**options, "thin": True})


@click.command()
@_common
@click.option("--thin", is_flag=True, help="As autogen-thin.")
@switch("--skip-merge", help="As --thin.")
@switch("--force-merge-check", help="Make versions that the kit has, too, and take them when they differ.")
@switch("--sync", default=True, help="Bring new distfiles to the mirror (default; --sync=false: do not).")
@switch("--push", help="Push what was made.")
@switch("--pr", help="Pull requests instead of commits on the branch.")
@click.option("--github-user", metavar="OWNER", default="", help="The target's owner (default: by its URL).")
@switch("--keep-workdir", help="Leave the work folder; the result is in its dest/.")
@switch("--skip-pull-sources", help="Use the sources that a kept work folder has.")
@switch("--skip-reposcan-generation", help="Taken for the sake of scripts: it costs nothing.")
@notify_option
@click.option("--mirror-dir", type=FOLDER, help="The folder of --backend dir (default: --download-dir).")
@backend_options
@signature
@forge
def autogen(**options: Any) -> None:
    """Generate new ebuilds from a specification, and merge them into the kit that the kit file names.

    Without --push nothing leaves this host but distfiles. The exit status is 1 when a part failed; what failed is
    named, the rest is done, and the next run does what is left.
    """
    _run(options)


_NOT_THIN = {"push": False, "pr": False, "github_user": "", "keep_workdir": False, "skip_pull_sources": False,
             "notify_discord_url": "", "signature_name": None, "signature_email": None,
             "signing_key": None}  # fmt: skip


def _run(options: Mapping[str, Any]) -> None:
    import dataclasses

    from farm.kit.autogen.command import Request, autogen
    from farm.kit.distfiles.layout import FLAT

    options = {**_NOT_THIN, **options}
    thin = bool(options.get("thin") or options.get("skip_merge"))
    run = dataclasses.replace(run_options(options), packages=())
    backend, layout = (None, FLAT) if thin or not options["sync"] else _mirror(options)
    request = Request(
        options["specfile"],
        options["kitfile"],
        run,
        tuple(options["pkg"]),
        options["download_dir"],
        thin=thin,
        force=bool(options.get("force_merge_check")),
        stop_on_error=options["stop_on_error"],
        store=options["store"],
        seed=options["seed"],
        script_network=options["script_network"],
        backend=backend,
        layout=layout,
    )
    with failure_told(options):
        report = autogen(request, say=run.say)
    if not thin:
        report.problems += notify(options, report.news)
    show(report, options)
    raise SystemExit(1 if report.failed else 0)


def _mirror(options: Mapping[str, Any]) -> tuple[Backend | None, Layout]:
    """The mirror of the options: none for a folder that is not named."""
    from farm.kit.distfiles.layout import parse_layout

    if options["backend"] == "dir":
        folder: Path | None = options["mirror_dir"]
        return (folder_backend(folder) if folder else None), parse_layout(options["layout"])
    return bucket_backend(options), parse_layout(options["layout"])


def folder_backend(folder: Path) -> Backend:
    """A mirror in a folder."""
    from farm.kit.distfiles.folder import Folder

    return Folder(folder)


def bucket_backend(options: Mapping[str, Any]) -> Backend:
    """A mirror in the bucket that options and environment name."""
    from farm.kit.distfiles.bucket import Bucket, account_of

    return Bucket(account_of({name: options[f"minio_{name}"] for name in _MINIO}, os.environ))


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
