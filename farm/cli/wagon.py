# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm wagon``: repositories of packages, from making to serving."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.session import FOLDER, settings_of, with_options
from farm.cli.show import plural, print_json, print_problems, size
from farm.cli.wagonshow import diff, show

if TYPE_CHECKING:
    from farm.store.signature import SecretKey
    from farm.wagon.create import Created

WAGON = click.Path(exists=True, file_okay=False, path_type=Path)

_signing = (
    click.option("--key", metavar="NAME|FILE", help="Sign with this key (farm key new)."),
    click.option("--unsigned", is_flag=True, help="Let a signed wagon lose its signature."),
)
_making = (
    click.option("--tree", "-t", multiple=True, type=FOLDER, metavar="DIR", help="A spec tree; may be repeated."),
    click.option("--packages", type=FOLDER, metavar="DIR", help="Where the packages are (default: the output)."),
    click.option("--output", "-o", required=True, type=FOLDER, metavar="DIR", help="The wagon's folder."),
    click.option("--name", help="What the wagon is called."),
    click.option("--descr", help="What it is."),
    click.option("--urls", multiple=True, metavar="URL", help="Where clients find it; may be repeated."),
    click.option("--type", type=click.Choice(("http", "disk", "docker")), help="How clients reach it."),
    click.option("--priority", type=int, help="Lower goes first."),
    click.option("--platform", metavar="P", help="What all packages are for (default: what they say)."),
    click.option(
        "--tree-compression", type=click.Choice(("none", "gzip", "zstd")), help="Default: as it is, else zstd."
    ),
    click.option("--tree-filename", metavar="NAME", help="A further name for the tree, for scripts that expect one."),
    click.option("--with-compilertree/--without-compilertree", default=None, help="Publish the spec trees, too."),
    click.option("--legacy/--no-legacy", default=None, help="Readable by clients that only know the old layout, too."),
    click.option("--reset-revision", is_flag=True, help="Begin at revision 1."),
    click.option("--keep", type=click.IntRange(1), default=5, show_default=True, help="How many revisions stay."),
    click.option("--bump-changed", is_flag=True, help="Give packages with other bytes than before the next version."),
    *_signing,
    click.option("--store", type=FOLDER, help="The store: what was read is remembered there."),
    click.option("--json", is_flag=True, help="Print plain data."),
)


@click.group()
def wagon() -> None:
    """Make, verify, compare, prune and serve wagons: repositories that anise's clients install from."""


@wagon.command()
@with_options(*_making)
def create(**options: Any) -> None:
    """Make a wagon of the packages that the trees define and a folder has.

    Where there is one already, this is its next revision, unless nothing changed.
    """
    _make(options, inherit=False)


@wagon.command()
@with_options(*_making)
def bump(**options: Any) -> None:
    """Make the next revision of a wagon, if anything changed. What is not given stays as it is."""
    _make(options, inherit=True)


@wagon.command()
@click.argument("folder", type=WAGON)
@click.option("--signed", is_flag=True, help="It has to be signed with a trusted key.")
@click.option(
    "--key", "keys", multiple=True, metavar="FILE|KEY", help="Trust this key, and no other; implies --signed."
)
@click.option("--json", is_flag=True, help="Print plain data.")
def verify(folder: Path, signed: bool, keys: tuple[str, ...], json: bool) -> None:
    """Check every byte of a wagon, and its signature. The exit status is 1 when something is wrong."""
    from farm.store.keys import Keyring
    from farm.wagon.check import check_wagon

    keyring = Keyring.of_user()
    trusted = [keyring.public(key) for key in keys] if keys else keyring.trusted()
    verdict = check_wagon(folder, trusted, signature=signed or bool(keys))
    bad = any(problem.severity == "error" for problem in verdict.problems)
    if json:
        problems = [problem.to_json() for problem in verdict.problems]
        head = {"revision": verdict.revision, "packages": verdict.packages, "signed": verdict.signed or None}
        print_json({**head, "ok": not bad, "problems": problems})
    else:
        print_problems(verdict.problems)
        by = f"signed with {verdict.signed}" if verdict.signed else "signature not checked"
        count = plural(verdict.packages, "package")
        click.echo(f"{folder}: revision {verdict.revision}, {count}, {by}: {'NOT sound' if bad else 'sound'}")
    raise SystemExit(1 if bad else 0)


@wagon.command()
@click.argument("folder", type=WAGON)
@click.option("--to", "target", type=int, metavar="N", help="Which revision (default: the last but one).")
@with_options(*_signing)
@click.option("--store", type=FOLDER, help="The store: what was read is remembered there.")
@click.option("--json", is_flag=True, help="Print plain data.")
def rollback(folder: Path, target: int | None, key: str | None, unsigned: bool, json: bool, **options: Any) -> None:
    """Publish what an earlier revision was, as a new revision, so that clients take it."""
    from farm.wagon.create import epoch_of
    from farm.wagon.rollback import roll_back

    done = roll_back(
        folder, target, key=secret_key(key), unsigned=unsigned, epoch=epoch_of(), cache=_cache(options, folder)
    )
    if json:
        print_json({"revision": done.revision})
    else:
        click.echo(f"{folder}: revision {done.revision}")


@wagon.command()
@click.argument("folder", type=WAGON)
@click.option("--versions", type=click.IntRange(0), default=1, show_default=True, help="How many of each package stay.")
@click.option("--keep", type=click.IntRange(1), default=5, show_default=True, help="How many revisions stay.")
@click.option("--dry-run", "-n", is_flag=True, help="Only say what would be removed.")
@click.option("--json", is_flag=True, help="Print plain data.")
def prune(folder: Path, versions: int, keep: int, dry_run: bool, json: bool) -> None:
    """Remove packages and revisions that are old and that no kept revision needs."""
    import dataclasses

    from farm.wagon.prune import prune as prune_wagon

    done = prune_wagon(folder, versions=versions, keep=keep, dry_run=dry_run)
    if json:
        print_json({**dataclasses.asdict(done), "dry_run": dry_run})
        return
    for name in done.files:
        click.echo(f"  {name}")
    word = "would remove" if dry_run else "removed"
    click.echo(f"{word} {plural(len(done.files), 'file')} ({size(done.size)}) and {_revisions(done.revisions)}")


@wagon.command()
@click.argument("folder", type=WAGON)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=9090, show_default=True, help="0: any that is free.")
def serve(folder: Path, host: str, port: int) -> None:
    """Serve a wagon over HTTP until Ctrl-C. Only this host reaches it, unless --host says otherwise."""
    from farm.wagon.serve import serve_until_stopped

    serve_until_stopped(folder, host, port, lambda url: click.echo(f"serving {folder} at {url}"))


def secret_key(name: str | None) -> SecretKey | None:
    """The key to sign with; asks for its password when it has one."""
    from farm.store.keys import Keyring

    if name is None:
        return None
    return Keyring.of_user().secret(name, lambda: click.prompt("Password", hide_input=True, err=True))


def tree_compression(compression: str | None, filename: str | None) -> str | None:
    """The compression of the tree: what was asked for, else what a name that was asked for tells; None: neither."""
    from farm.wagon.metadata import compression_of

    named = compression_of(filename) if filename else None
    if compression and named and named != compression:
        raise click.UsageError(f"--tree-filename {filename} tells of compression {named}, not {compression}")
    return compression or named


def _make(options: dict[str, Any], *, inherit: bool) -> None:
    from farm.spec.load import load
    from farm.wagon.create import Request, create_wagon, epoch_of

    settings = settings_of({"tree": options["tree"], "store": options["store"]})
    output: Path = options["output"]
    done = create_wagon(
        Request(
            load(settings.trees, settings.values, cache=settings.store / "trees"),
            options["packages"] or output,
            output,
            name=options["name"],
            description=options["descr"],
            urls=options["urls"] or None,
            type=options["type"],
            priority=options["priority"],
            platform=settings_of({"platform": options["platform"]}).platform if options["platform"] else None,
            inherit=inherit,
            tree_compression=tree_compression(options["tree_compression"], options["tree_filename"]),
            tree_filename=options["tree_filename"],
            compilertree=options["with_compilertree"],
            legacy=options["legacy"],
            reset_revision=options["reset_revision"],
            keep=options["keep"],
            bump_changed=options["bump_changed"],
            key=secret_key(options["key"]),
            unsigned=options["unsigned"],
            epoch=epoch_of(),
            cache=_cache(options, output),
        )
    )
    _report(done, output, options["json"])


def _cache(options: dict[str, Any], folder: Path) -> Path:
    return digest_cache(settings_of({"store": options["store"]}).store, folder)


def digest_cache(store: Path, folder: Path) -> Path:
    """Where digests of the files of the wagon in ``folder`` are remembered."""
    import hashlib

    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return store / "wagons" / f"{name}.json"


def _report(done: Created, output: Path, json: bool) -> None:
    collected = done.collected
    if json:
        print_json({
            "name": done.repository.name,
            "revision": done.repository.revision,
            "changed": done.changed,
            "signed": done.signed,
            "packages": [str(id) for id in done.packages],
            "not_built": [str(id) for id in collected.not_built],
            "not_in_tree": list(collected.not_in_tree),
            "warnings": [problem.to_json() for problem in done.warnings],
        })  # fmt: skip
        return
    print_problems(done.warnings)
    state = (
        f"revision {done.repository.revision}" if done.changed else f"unchanged at revision {done.repository.revision}"
    )
    signed = ", signed" if done.signed else ""
    click.echo(f"{output}: {done.repository.name}, {state}, {plural(len(done.packages), 'package')}{signed}")
    if collected.not_built:
        click.echo(f"left out, as there is no tarball: {_some(collected.not_built)}")
    if collected.not_in_tree:
        click.echo(f"left out, as no tree defines them: {_some(collected.not_in_tree)}")


def _some(names: Any) -> str:
    shown = ", ".join(str(name) for name in names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown


def _revisions(numbers: tuple[int, ...]) -> str:
    return f"revisions {', '.join(map(str, numbers))}" if numbers else "no revision"


wagon.add_command(show)
wagon.add_command(diff)
