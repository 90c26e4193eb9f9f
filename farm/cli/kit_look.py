# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit clone``, ``farm kit cache`` and ``farm kit status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.kit_options import FILE, FOLDER, KitCommand, as_json, cache_of, forge, servers_of, specfile, store
from farm.cli.session import settings_of
from farm.cli.show import plural, print_json, print_problems, table

if TYPE_CHECKING:
    from farm.kit.model import KitSpec
    from farm.kit.status import Status
    from farm.spec.problem import Problem


@click.command(cls=KitCommand)
@specfile
@click.option("--to", type=FOLDER, default="output", show_default=True, help="Where the clones go.")
@click.option("--single-branch/--all-branches", default=True, show_default=True, help="Only the branch that is named.")
@click.option("--deep", type=click.IntRange(0), default=5, show_default=True, help="Commits of history.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=3, show_default=True, help="Clones at a time.")
@click.option("--generate-reposcan-files", is_flag=True, help="Write a reposcan JSON of each kit.")
@click.option("--kit-cache-dir", type=FOLDER, default="kit-cache", show_default=True, help="Where they go.")
@click.option("--show-summary", is_flag=True, help="Print the commits, as YAML.")
@click.option("--write-summary-file", type=FILE, metavar="FILE", help="Write the commits, for merge --summary-file.")
@click.option("--verbose", is_flag=True, help="Taken for the sake of scripts.")
@store
@as_json
def clone(specfile: Path, to: Path, **options: Any) -> None:
    """Clone the kits of a specification, and write down which commits they are."""
    from farm.kit.clone import clone_kits, summary, write_summary
    from farm.kit.specfile import read_kit_spec

    spec = read_kit_spec(specfile)
    print_problems(spec.problems)
    done = clone_kits(
        spec.sources,
        to,
        servers_of(options),
        depth=options["deep"],
        concurrency=options["concurrency"],
        single_branch=options["single_branch"],
    )
    failed = _reposcan(spec, to, options) if options["generate_reposcan_files"] else 0
    if options["write_summary_file"]:
        write_summary(options["write_summary_file"], done)
    if options["json"]:
        print_json([{"name": source.name, "branch": source.branch, "commit": commit} for source, commit in done])
    elif options["show_summary"]:
        click.echo(summary(done), nl=False)
    else:
        click.echo(table([[f"  {source.name}", source.branch, commit] for source, commit in done]))
    raise SystemExit(1 if failed else 0)


def _reposcan(spec: KitSpec, to: Path, options: dict[str, Any]) -> int:
    """Writes the files; how many ebuilds could not be read."""
    from farm.kit.reposcan import write_reposcans

    failed = write_reposcans(spec.sources, to, options["kit_cache_dir"], cache_of(options))
    if failed:
        print_problems(failed)
    return len(failed)


@click.command(cls=KitCommand)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--master", multiple=True, type=FOLDER, metavar="DIR", help="A kit whose eclasses it inherits.")
@store
@as_json
def cache(folder: Path, master: tuple[Path, ...], json: bool, **options: Any) -> None:
    """Bring metadata/md5-cache of a kit up to date. Only files that differ are written.

    The exit status is 1 when there are ebuilds that portage cannot read.
    """
    from farm.kit.cachefiles import write_cache
    from farm.spec.problem import Problem

    done = write_cache(folder, master, cache_of(options))
    failed = sorted(done.result.failed.items())
    problems = [Problem("bad-ebuild", f"{cpv}: portage cannot read it: {why}", package=str(cpv)) for cpv, why in failed]
    counts = {"written": done.written, "kept": done.kept, "removed": done.removed, "scanned": done.scanned}
    if json:
        print_json({**counts, "problems": [problem.to_json() for problem in problems]})
    else:
        print_problems(problems)
        click.echo(", ".join(f"{count} {word}" for word, count in counts.items()))
    raise SystemExit(1 if problems else 0)


@click.command(cls=KitCommand)
@specfile
@click.option("--branch", multiple=True, metavar="NAME", help="A further branch of the kit to show; may be repeated.")
@click.option("--to", type=FOLDER, default="workdir", show_default=True, help="The work folder.")
@click.option("--keep-workdir", is_flag=True, help="Leave the work folder.")
@click.option("--deep", type=click.IntRange(0), default=1, help="Commits of history fetched.", show_default=True)
@click.option("--concurrency", type=click.IntRange(1, 64), default=3, show_default=True, help="Clones at a time.")
@click.option("--pr", is_flag=True, help="Ask the forge which pull requests are open.")
@click.option("--github-user", metavar="OWNER", default="", help="The target's owner (default: by its URL).")
@click.option("--autogen", "autogen_file", type=FILE, metavar="FILE", help="Ask upstream, by an autogen specification.")
@click.option("--html", "page_file", type=FILE, metavar="FILE", help="Write a page to look at.")
@forge
@store
@as_json
def status(specfile: Path, page_file: Path | None, **options: Any) -> None:
    """Show each package's version in each branch, what merge would take, and what waits for a decision."""
    found, problems = _status(specfile, options)
    if page_file:
        from farm.kit.statuspage import page
        from farm.spec.whole import write_whole

        write_whole(page_file.absolute(), page(found).encode())
    if options["json"]:
        print_json({**found.to_json(), "problems": [problem.to_json() for problem in problems]})
        return
    print_problems(problems)
    rows = [["package", *found.branches, "sources", "upstream", "state", "pull request"]]
    for row in found.rows:
        versions = [row.versions.get(branch, "-") for branch in found.branches]
        pulls = " ".join(f"#{pull.number}" for pull in row.pulls)
        rows.append([row.package, *versions, row.source or "-", row.upstream or "-", row.state, pulls])
    click.echo(table(rows))
    click.echo(f"{plural(len(found.rows), 'package')}, {sum(row.state == 'behind' for row in found.rows)} behind")


def _status(specfile: Path, options: dict[str, Any]) -> tuple[Status, list[Problem]]:
    from farm.kit.specfile import read_kit_spec
    from farm.kit.status import kit_status
    from farm.kit.workspace import Workspace

    spec = read_kit_spec(specfile)
    servers = servers_of(options).aiming_at(spec.target.url if spec.target else "")
    problems: list[Problem] = []
    upstream = _upstream(specfile, options, problems) if options["autogen_file"] else None
    depth, concurrency, keep = options["deep"], options["concurrency"], options["keep_workdir"]
    with Workspace(options["to"], servers, depth=depth, concurrency=concurrency, keep=keep) as work:
        found = kit_status(
            spec,
            work,
            cache_of(options),
            servers,
            branches=options["branch"],
            pulls=options["pr"],
            owner=options["github_user"],
            upstream=upstream,
        )
    return found, [*found.problems, *problems]


def _upstream(specfile: Path, options: dict[str, Any], problems: list[Problem]) -> dict[str, str]:
    from farm.kit.run import RunOptions
    from farm.kit.upstream import newest_versions

    run = RunOptions(to=options["to"], cache=cache_of(options), servers=servers_of(options))
    store = settings_of({"store": options["store"]}).store
    return newest_versions(options["autogen_file"], specfile, run, store, problems)
