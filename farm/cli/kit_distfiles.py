# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit distfiles-sync``: a mirror that has every distfile of a kit."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.kit_autogen import backend_options, bucket_backend, folder_backend, switch
from farm.cli.kit_options import FILE, FOLDER, as_json, run_options, specfile, store
from farm.cli.session import settings_of, with_options
from farm.cli.show import plural, print_problems, size

if TYPE_CHECKING:
    from farm.kit.distfiles.command import Summary

_options = with_options(
    specfile,
    click.option("--pkg", multiple=True, metavar="CAT/NAME", help="Only this package; may be repeated."),
    click.option("--to", type=FOLDER, default="workdir", show_default=True, help="The work folder."),
    click.option("--download-dir", type=FOLDER, help="The folder of --backend dir."),
    backend_options,
    switch("--check-only-size", help="Take a file of the right size for right, without reading it."),
    click.option("--concurrency", type=click.IntRange(1, 64), default=3, show_default=True, help="Files at a time."),
    click.option("--deep", type=click.IntRange(0), default=5, show_default=True, help="Commits of history fetched."),
    switch("--keep-workdir", help="Leave the work folder."),
    switch("--skip-pull-sources", help="Use the sources that a kept work folder has."),
    switch("--skip-reposcan-generation", help="Taken for the sake of scripts: it costs nothing."),
    switch("--show-summary", help="Print the summary."),
    click.option("--summary-format", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True,
                 help="How the summary is written."),
    click.option("--write-summary-file", type=FILE, metavar="FILE", help="Write the summary to a file."),
    click.option("--dry-run", "-n", is_flag=True, help="Bring nothing, and say what is missing."),
    switch("--verbose", help="Say what is being done."),
    store,
    as_json,
)  # fmt: skip


@click.command(name="distfiles-sync")
@_options
def distfiles_sync(**options: Any) -> None:
    """Bring every distfile that the kits of a specification name to a mirror, verified by its hashes.

    What is there is read and compared. The exit status is 1 when a file could not be brought; the others are.
    """
    import dataclasses

    from farm.kit.distfiles.command import Request, sync_distfiles
    from farm.kit.distfiles.layout import parse_layout
    from farm.kit.specfile import read_kit_spec

    usual = {"push": False, "pr": False, "github_user": "", "signature_name": None, "signature_email": None}
    run = dataclasses.replace(run_options({**usual, "signing_key": None, **options}), packages=())
    if options["backend"] == "dir":
        backend = folder_backend(options["download_dir"] or Path(options["to"]) / "downloads")
        run = dataclasses.replace(run, keep=run.keep or not options["download_dir"])
    else:
        backend = bucket_backend(options)
    root = settings_of({"store": options["store"]}).store
    layout = parse_layout(options["layout"])
    spec = read_kit_spec(options["specfile"])
    request = Request(spec, run, root, backend, layout, tuple(options["pkg"]), options["check_only_size"])
    summary = sync_distfiles(request, report=lambda result: run.say(f"{result.state} {result.name}"))
    _show(summary, options)
    raise SystemExit(1 if summary.failed else 0)


def _show(summary: Summary, options: dict[str, Any]) -> None:
    text = _written(summary, "json" if options["json"] else options["summary_format"])
    if file := options["write_summary_file"]:
        from farm.spec.whole import write_whole

        write_whole(file, text.encode())
    if options["show_summary"] or options["json"]:
        click.echo(text, nl=False)
        return
    print_problems(summary.problems)
    counts = {
        state: sum(r.state == state for r in summary.results) for state in ("present", "brought", "missing", "failed")
    }
    total = size(sum(result.size for result in summary.results))
    parts = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "none"
    click.echo(f"{plural(len(summary.results), 'distfile')} ({total}): {parts}")


def _written(summary: Summary, form: str) -> str:
    if form == "json":
        return jsonlib.dumps(summary.to_data(), indent=2, ensure_ascii=False) + "\n"
    import yaml

    text: str = yaml.safe_dump(summary.to_data(), sort_keys=False, allow_unicode=True)
    return text
