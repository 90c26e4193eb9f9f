# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm stage``: roots as tarballs and images, made in one graph and given out in the layout of a mirror."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from farm.cli.session import FOLDER, Session, store_options
from farm.cli.show import plural, print_json, size, table
from farm.cli.stageshow import described, plan_document, report_build
from farm.runner.rootless import ensure_privileges

if TYPE_CHECKING:
    from farm.engine.making import Makers
    from farm.plan.node import Plan
    from farm.stage.build import Built, StageBuild
    from farm.stage.layout import Layout
    from farm.stage.library import Library
    from farm.stage.packages import TreePackages
    from farm.store.signature import SecretKey

Command = TypeVar("Command", bound=Callable[..., Any])
FILE = click.Path(dir_okay=False, path_type=Path)
_DAY = 86400.0


def _both(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    return lambda command: functools.reduce(lambda made, option: option(made), reversed(options), command)


library_options = _both(
    click.option("--stages", type=FOLDER, envvar="FARM_STAGES", default="stages", show_default=True,
                 help="The folder of stage files."),
    click.option("--values", "template_values", multiple=True, type=FILE, metavar="FILE",
                 help="A value file for the stage files' templates; later ones win."),
)  # fmt: skip
output_option = click.option(
    "--output", type=FOLDER, envvar="FARM_STAGE_OUTPUT", default="out/stages", show_default=True,
    help="The folder that stages are given out in.",
)  # fmt: skip
allow_options = _both(
    click.option("--allow-host-hooks", is_flag=True, help="Let hooks run on this host that ask for it."),
    click.option("--allow-host-binds", is_flag=True, help="Let stages bind folders of this host that they name."),
)
json_option = click.option("--json", is_flag=True, help="Print plain data.")
build_options = _both(
    click.option("--strategy", type=click.Choice(["full", "quick"]), default="full", show_default=True,
                 help="full: all stages that it begins with, too. quick: from the last good tarball."),
    click.option("--only", is_flag=True, help="Give out nothing but the stages named."),
)  # fmt: skip
run_options = _both(
    click.option("--jobs", "-j", type=click.IntRange(1), help="How many jobs run at a time."),
    click.option("--keep-going/--no-keep-going", "-k", default=None, help="Go on with what does not need what failed."),
    click.option("--runner", help="Where jobs run: sandbox (default) or docker."),
    click.option("--plain", is_flag=True, help="Plain lines even on a terminal."),
)


@click.group()
def stage() -> None:
    """Make, verify, list and prune stages: roots given out as tarballs and images.

    A stage is named by its file: NAME is STAGES/NAME.yaml, or a path.
    """


@stage.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@library_options
@output_option
@build_options
@allow_options
@run_options
@click.option("--version", metavar="DATE", help="The version they are given out as (default: today, in UTC).")
@click.option("--always", is_flag=True, help="Give out a new version also of what did not change.")
@click.option("--key", help="Sign the outputs with this key (`farm key show`).")
@click.option("--load-docker", is_flag=True, help="Load oci outputs that have a name (docker:) into Docker.")
@store_options
def build(names: tuple[str, ...], **options: Any) -> None:
    """Make the stages NAME and give them out.

    The exit status is 0 when all were made, 1 when not, 130 when the run was cancelled.
    """
    ensure_privileges(sys.argv)
    session = Session.of(options)
    key = _secret(options["key"])
    layout = _layout(options)
    with session.store:
        made = _prepared(session, names, layout, options)
        run = _runner(session, bool(options["plain"]))
        built = made.give_out(
            made.run(run), run, session.store, _makers(), layout,
            date=_version(options["version"]), now=time.time(), key=key, always=bool(options["always"]),
        )  # fmt: skip
        if built.published:
            from farm.stage.index import write_index

            write_index(layout)
        if options["load_docker"]:
            _load(made, built)
    report_build(session, made, built)
    raise SystemExit(130 if built.summary.outcome == "cancelled" else 0 if built.ok else 1)


@stage.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@library_options
@output_option
@build_options
@allow_options
@store_options
@click.option("--verbose", "-v", is_flag=True, help="List cached nodes, too.")
def show(names: tuple[str, ...], verbose: bool, **options: Any) -> None:
    """Show what building the stages NAME would run, in which order, and why."""
    ensure_privileges(sys.argv)
    from farm.cli.plan import forecast_lines
    from farm.engine.forecast import forecast
    from farm.engine.journal import Journal

    session = Session.of(options)
    with session.store:
        made = _prepared(session, names, _layout(options), options)
        with Journal(session.store.root) as journal:
            found = forecast(made.planned.plan, session.store, journal, _makers())
        if session.json:
            print_json(plan_document(made, found))
            return
        for one in made.planned.stages:
            click.echo(click.style(one.stage.name, bold=True) + f"  {one.stage.description}".rstrip())
            for label, text in described(one):
                click.echo(f"  {label:<9} {text}")
        for line in forecast_lines(found.values(), verbose):
            click.echo(line)


@stage.command("list")
@output_option
@json_option
def list_(**options: Any) -> None:
    """List what is given out: every version of every release."""
    layout = _layout(options)
    editions = layout.all()
    if options["json"]:
        from farm.stage.index import index_document

        print_json(index_document(layout))
        return
    rows = []
    for one in editions:
        latest = layout.latest(one.release)
        state = "latest" if latest and latest.version == one.version else "" if one.complete else "incomplete"
        formats = " ".join(str(output["format"]) for output in (one.info or {}).get("outputs", ()))
        rows.append([f"{one.release.folder}/{one.version}", one.release.target, size(one.size), formats, state])
    click.echo(table(rows) or f"nothing is given out in {layout.root}")


@stage.command()
@click.argument("names", nargs=-1, required=True, metavar="FILE|NAME...")
@library_options
@output_option
@click.option("--key", help="The minisign key that has to have signed it (default: the keys you trust).")
@click.option("--signed", is_flag=True, help="What is not signed is bad.")
@json_option
def verify(names: tuple[str, ...], key: str | None, signed: bool, **options: Any) -> None:
    """Check digests, signature and list of a FILE, or of all outputs of the newest version of the stage NAME.

    The exit status is 0 when all are good, 1 when not.
    """
    from farm.stage.verify import verify_output
    from farm.store.keys import Keyring

    ring = Keyring.of_user()
    trusted = [ring.public(key)] if key else list(ring.trusted())
    found = [
        finding
        for name in names
        for file in _files(name, options)
        for finding in verify_output(file, trusted, signed=signed or bool(key))
    ]
    if options["json"]:
        print_json([one.to_json() for one in found])
    else:
        colours = {"ok": "green", "bad": "red", "missing": "yellow"}
        for one in found:
            word = click.style(one.verdict.ljust(7), fg=colours[one.verdict])
            click.echo(f"{word} {one.file}  {one.what}  {click.style(one.detail, dim=True)}".rstrip())
    raise SystemExit(1 if any(one.verdict == "bad" for one in found) else 0)


@stage.command()
@click.argument("name")
@click.argument("command", nargs=-1)
@library_options
@output_option
@build_options
@allow_options
@store_options
def shell(name: str, command: tuple[str, ...], **options: Any) -> None:
    """Open a shell (or run COMMAND) in the root of the stage NAME, as it was built last. Changes are thrown away."""
    ensure_privileges(sys.argv)
    from farm.stage.shell import enter_root

    session = Session.of(options)
    with session.store:
        made = _prepared(session, (name,), _layout(options), options)
        raise SystemExit(enter_root(made.planned, session.store, _makers(), command or ("/bin/sh",)))


@stage.command("next")
@library_options
@output_option
@click.option(
    "--fresh",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    metavar="DAYS",
    help="A good build that is newer than this is new enough.",
)
@click.option("--target", multiple=True, help="Only stages with this target, for example stage3; repeatable.")
@json_option
def next_(fresh: float, target: tuple[str, ...], **options: Any) -> None:
    """Say which stage is to be built next: the one whose last good build is the longest ago.

    What failed three times in a row is left alone for a while. The exit status is 0 when there is one, 1 when not.
    """
    from farm.stage.nextbuild import candidates

    library = _library(options)
    stages = [one for one in map(library.stage, library.names()) if not target or one.release.target in target]
    found = candidates(stages, _layout(options), time.time(), fresh * _DAY)
    first = found[0] if found and found[0].fate == "build" else None
    if options["json"]:
        print_json({"next": first.stage.name if first else None, "candidates": [one.to_json() for one in found]})
    else:
        rows = [[one.fate, one.stage.name, f"{one.stage.release.folder}/{one.stage.release.target}", one.why]
                for one in found]  # fmt: skip
        click.echo(table(rows), err=True)
        click.echo(first.stage.name if first else "nothing is to be built", err=first is None)
    raise SystemExit(0 if first else 1)


@stage.command()
@output_option
@click.option("--keep", type=click.IntRange(1), default=3, show_default=True, help="Complete versions to keep.")
@click.option(
    "--stale",
    type=click.FloatRange(0),
    default=1.0,
    show_default=True,
    metavar="DAYS",
    help="Incomplete versions older than this go.",
)
@click.option("--yes", is_flag=True, help="Remove; without it nothing is done but told.")
@click.option("--dry-run", is_flag=True, help="Remove nothing, also with --yes.")
@json_option
def prune(keep: int, stale: float, yes: bool, dry_run: bool, **options: Any) -> None:
    """Remove old versions. The newest complete one of a release always stays. Without --yes nothing is removed."""
    from farm.stage.index import write_index
    from farm.stage.retention import remove, verdicts

    layout = _layout(options)
    judged = verdicts(layout, keep, stale * _DAY, time.time())
    removed = remove(layout, judged) if yes and not dry_run else []
    if removed:
        write_index(layout)
    if options["json"]:
        print_json({"removed": bool(removed), "versions": [one.to_json() for one in judged]})
        return
    rows = [["keep" if one.keep else "remove", f"{one.edition.release.folder}/{one.edition.version}",
             one.edition.release.target, size(one.edition.size), one.why] for one in judged]  # fmt: skip
    click.echo(table(rows) or "there is nothing")
    going = [one for one in judged if not one.keep]
    freed = size(sum(one.edition.size for one in going))
    told = "removed" if removed or not going else "to be removed (with --yes)"
    click.echo(f"{plural(len(going), 'version')} {told}, {freed}")


@stage.command()
@output_option
@json_option
def index(**options: Any) -> None:
    """Write index.json and index.html anew."""
    from farm.stage.index import write_index

    layout = _layout(options)
    document = write_index(layout)
    if options["json"]:
        print_json(document)
    else:
        click.echo(f"{layout.root / 'index.html'}: {plural(len(document['releases']), 'release')}")


# What the commands share


def _prepared(session: Session, names: Iterable[str], layout: Layout, options: Mapping[str, Any]) -> StageBuild:
    """The stages, planned. FarmError with all that is wrong."""
    from farm.stage.build import StageBuild, chosen, once
    from farm.stage.plan import Allowed

    stages = chosen(_library(options), list(names), options["strategy"], layout, only=bool(options["only"]))
    rootfs = session.store.root / "hook-root"
    rootfs.mkdir(exist_ok=True)
    allowed = Allowed(bool(options["allow_host_hooks"]), bool(options["allow_host_binds"]), str(rootfs))
    return StageBuild(stages, _packages(session), allowed, once())


def _packages(session: Session) -> TreePackages:
    from farm.stage.packages import TreePackages

    settings = session.settings
    docker = settings.runner == "docker"
    return TreePackages(settings.store / "trees", plain_is_docker=docker, platforms=session.platforms)


def _library(options: Mapping[str, Any]) -> Library:
    from farm.spec.values import read_value_files
    from farm.stage.library import Library

    return Library(Path(options["stages"]), read_value_files(list(options["template_values"])))


def _layout(options: Mapping[str, Any]) -> Layout:
    from farm.stage.layout import Layout

    return Layout(Path(options["output"]))


@functools.cache
def _makers() -> Makers:
    """This product's makers, and the client's, which is on another floor."""
    from farm.client.stageroot import WagonRoot
    from farm.engine.making import Once
    from farm.stage.makers import makers
    from farm.stage.seeds import WAGONS

    return {name: Once(maker) for name, maker in {**makers(), WAGONS: WagonRoot()}.items()}


def _runner(session: Session, plain: bool) -> Callable[[Plan], Any]:
    from farm.cli.build import run, screen_of

    return lambda plan: run(session, plan, screen_of(session.json, plain), _makers())


def _secret(name: str | None) -> SecretKey | None:
    if name is None:
        return None
    from farm.store.keys import Keyring

    return Keyring.of_user().secret(name, lambda: str(click.prompt("Password", hide_input=True, err=True)))


def _version(given: str | None) -> str:
    import re

    if given is None:
        return time.strftime("%Y-%m-%d", time.gmtime())
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z._+-]*", given):
        raise click.BadParameter("use letters, digits and . _ + -", param_hint="--version")
    return given


def _files(name: str, options: Mapping[str, Any]) -> list[Path]:
    """The file of that name, or the outputs of the newest version of a stage."""
    path = Path(name)
    if path.exists() and not name.endswith(".yaml"):
        return [path.resolve() if path.is_symlink() else path]
    layout = _layout(options)
    latest = layout.latest(_library(options).stage(name).release)
    if latest is None:
        raise click.ClickException(f"{layout.root} has no complete version of {name}")
    return [latest.folder / output["file"] for output in (latest.info or {})["outputs"]]


def _load(made: StageBuild, built: Built) -> None:
    from farm.stage.build import load_into_docker

    for one in built.published:
        planned = made.planned.stage(one.stage)
        for (output, _), put in zip(planned.outputs, one.outputs, strict=True):
            if output.docker:
                load_into_docker(output, put.file, planned.stage.environment)
