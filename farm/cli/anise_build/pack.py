# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build pack``: a package out of a folder."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from farm.cli.anise_build.flags import FOLDER, persistent
from farm.cli.pflag import GoCommand
from farm.spec.model import Package, PackageId
from farm.spec.problem import error

if TYPE_CHECKING:
    from farm.store.entry import Entry


@click.command("pack", cls=GoCommand)
@click.argument("packages", nargs=-1, metavar="PACKAGE")
@click.option("--source", type=FOLDER, default=".", help="The folder whose content is packed (default: this one).")
@click.option("--destination", type=FOLDER, default=".", help="Where the package is put (default: here).")
@click.option("--compression", default="gzip", show_default=True, help="none, gzip or zstd.")
@persistent
@click.pass_context
def pack(_context: click.Context, /, packages: tuple[str, ...], **options: Any) -> None:
    """Make PACKAGE (category/name@version) of a folder, with the metadata that create-repo wants."""
    from farm.spec.whole import write_whole
    from farm.wagon.contents import metadata_of
    from farm.wagon.metadata import COMPRESSIONS, SUFFIX

    if len(packages) != 1:
        raise error("missing-package", "You must specify a package name")
    package, compression = _package(packages[0]), options["compression"]
    if compression not in COMPRESSIONS:
        raise error("bad-compression", f"{compression!r} is no compression", hint="write none, gzip or zstd")
    destination: Path = options["destination"]
    destination.mkdir(parents=True, exist_ok=True)
    stem = destination / package.id.fingerprint
    tarball = Path(f"{stem}.package.tar{COMPRESSIONS[compression]}")
    metadata = metadata_of(package, tarball, write_package(options["source"], tarball, compression))
    write_whole(Path(f"{stem}{SUFFIX}"), metadata.to_yaml())
    click.echo(f"Artifact generated: {tarball}")


def write_package(source: Path, tarball: Path, compression: Any) -> str:
    """Packs the content of a folder as the farm packs layers, but for the file itself; its sha256.

    Times later than SOURCE_DATE_EPOCH (or the farm's default) become that. FarmError ``missing-folder``.
    """
    import hashlib

    from farm.store.compress import compressor
    from farm.store.entry import link_up
    from farm.store.funnel import Funnel
    from farm.store.reach import Reach
    from farm.store.tarwriter import write_tar
    from farm.store.union import walk_layer
    from farm.wagon.metadata import SUFFIX

    if not source.is_dir():
        raise error("missing-folder", f"no such folder: {source}", hint="give it with --source")
    part = tarball.with_name(f".{tarball.name}.{os.getpid()}")
    digest, packer = hashlib.sha256(), compressor(compression)
    described = f"{tarball.parent / tarball.name.partition('.package.tar')[0]}{SUFFIX}"
    own = {os.fsencode(os.path.relpath(path, source)) for path in (tarball, part, described)}
    try:
        with open(part, "wb") as file, Reach(source) as reach:

            def write(data: bytes) -> None:
                digest.update(data)
                file.write(data)

            with Funnel(lambda piece: write(packer.compress(piece))) as funnel:
                write_tar(link_up(_clamped(walk_layer(reach, own.__contains__))), funnel.write)
                funnel.finish()
            write(packer.flush())
        part.replace(tarball)
    finally:
        part.unlink(missing_ok=True)
    return digest.hexdigest()


def _clamped(entries: Iterator[Entry]) -> Iterator[Entry]:
    from farm.plan.job import EPOCH
    from farm.wagon.create import epoch_of

    latest = epoch_of()
    latest = EPOCH if latest is None else latest
    for entry in entries:
        entry.mtime = min(entry.mtime, latest)
        yield entry


def _package(text: str) -> Package:
    """The package that ``category/name@version`` means, as the folder's definition.yaml has it if it is the same one.

    FarmError ``bad-target`` without category or version.
    """
    from farm.spec.selector import parse_target

    target = parse_target(text)
    terms = target.selector.terms
    if target.category is None or len(terms) != 1 or terms[0][0] != "=":
        raise error("bad-target", f"{text!r} is not one package", hint="write category/name@version")
    id = PackageId(target.category, target.name, terms[0][1].text)
    return _defined(id) or Package(id)


def _defined(id: PackageId) -> Package | None:
    from farm.spec.load import load

    here = Path.cwd()
    found = load([here]).packages.get(id) if (here / "definition.yaml").is_file() else None
    return dataclasses.replace(found, build=None) if found else None
