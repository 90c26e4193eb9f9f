# SPDX-License-Identifier: GPL-3.0-or-later
"""A package's metadata, made from its tarball and its definition."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

from farm.spec.model import Build, Package, PackageId, Requirement
from farm.spec.problem import error
from farm.store.archive import decompressed, opened, read_ahead
from farm.store.entry import FILE, FOLDER, HARDLINK, SYMLINK
from farm.store.tarreader import TarReader
from farm.wagon.metadata import Metadata, compression_of

PACKAGE_KEYS = (
    "name", "version", "category", "use_flags", "requires", "conflicts", "provides",
    "annotations", "description", "uri", "license", "labels", "hidden",
)  # fmt: skip
"""What anise's clients know of a definition, in its order."""

_USUAL_MODES = (0o644, 0o755)
_LISTED = ("prelude", "steps", "env", "package_dir", "unpack", "includes", "excludes", "retrieve", "image")


@dataclasses.dataclass(frozen=True, slots=True)
class Contents:
    """What a tarball holds: paths that are no folders, in its order; bytes of the regular files; their digests."""

    files: tuple[str, ...]
    installed_size: int
    digests: dict[str, str]
    modes: dict[str, str]


def metadata_of(
    package: Package,
    tarball: Path,
    sha256: str,
    *,
    name: str | None = None,
    key: str = "",
    platform: str = "",
    compilespec: bool = True,
) -> Metadata:
    """The metadata of a package that was just built. Reads the tarball; nothing of this host or of time gets in.

    ``name`` is the tarball's name in the wagon (default: as it is called now); ``key`` the key of the job that made
    it, ``platform`` what it is for, if that is to be told. FarmError ``bad-archive``.
    """
    contents = read_contents(tarball)
    farm: dict[str, Any] = {"size": tarball.stat().st_size, "installed_size": contents.installed_size}
    farm |= {"key": key} if key else {}
    farm |= {"platform": platform} if platform else {}
    farm |= {"modes": contents.modes} if contents.modes else {}
    farm |= {"digests": contents.digests} if contents.digests else {}
    name = name or tarball.name
    build = compilespec_of(package) if compilespec else {"package": definition_of(package)}
    runtime = definition_of(package)
    return Metadata(name, {"sha256": sha256}, compression_of(name), contents.files, runtime, build, farm)


def read_contents(tarball: Path) -> Contents:
    """Reads a package's tarball. FarmError ``bad-archive``; ``bad-file-name`` for what no client could name."""
    found = Contents((), 0, {}, {})
    files: list[str] = []
    size = 0
    with opened(tarball) as (head, stream), read_ahead(decompressed(head, stream)) as pieces:
        reader = TarReader(pieces)
        for entry in reader:
            if entry.kind == FOLDER:
                continue
            path = _name(entry.path, tarball)
            files.append(path)
            if entry.kind == FILE:
                size += entry.size
                state = hashlib.sha256()
                for piece in reader.content():
                    state.update(piece)
                found.digests[path] = state.hexdigest()
            if entry.kind not in (SYMLINK, HARDLINK) and entry.mode not in _USUAL_MODES:
                found.modes[path] = f"{entry.mode:04o}"
    return dataclasses.replace(found, files=tuple(files), installed_size=size)


def definition_of(package: Package, *, version: str | None = None) -> dict[str, Any]:
    """The definition as clients read it, without what is empty. ``version`` stands for its own."""
    values: dict[str, Any] = {
        "name": package.id.name,
        "version": version or package.id.version,
        "category": package.id.category,
        "use_flags": list(package.use_flags),
        "requires": [_requirement(item) for item in package.requires],
        "conflicts": [_requirement(item) for item in package.conflicts],
        "provides": [_provided(item) for item in package.provides],
        "annotations": package.annotations,
        "description": package.description,
        "uri": list(package.uri),
        "license": package.license,
        "labels": package.labels,
        "hidden": package.hidden,
    }
    return {key: values[key] for key in PACKAGE_KEYS if values[key]}


def compilespec_of(package: Package) -> dict[str, Any]:
    """How it was built, as anise writes it down: the rendered build.yaml, and the definition as ``package``."""
    document: dict[str, Any] = {"package": definition_of(package)}
    build = package.build or Build()
    values = ((key, getattr(build, key)) for key in _LISTED)
    return document | {key: list(value) if isinstance(value, tuple) else value for key, value in values if value}


def fingerprint(id: PackageId, version: str | None = None) -> str:
    """anise's name for the files of a package, at another version if one is given."""
    return dataclasses.replace(id, version=version or id.version).fingerprint


def _requirement(item: Requirement) -> dict[str, str]:
    """A selector that admits everything is written as anise's clients need it."""
    version = item.version if item.version.strip() not in ("", "*") else ">=0"
    return {"name": item.name, "version": version, "category": item.category}


def _provided(item: Requirement) -> dict[str, str]:
    return {"name": item.name, "version": item.version, "category": item.category}


def _name(path: bytes, tarball: Path) -> str:
    parts = [part for part in path.split(b"/") if part not in (b"", b".")]
    try:
        name = b"/".join(parts).decode()
    except UnicodeDecodeError as problem:
        message = f"{tarball.name} holds a name that is not UTF-8: {os.fsdecode(path)!r}"
        raise error("bad-file-name", message, hint="clients could not tell who owns the file") from problem
    if not name or b".." in parts or path.startswith(b"/"):
        raise error("bad-archive", f"{tarball.name} holds a name that leaves the root: {os.fsdecode(path)!r}")
    return name
