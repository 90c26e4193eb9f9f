# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the database of a root that has none: out of what wagons say of their packages, and what files are there.

There is no reader of the Go client's BoltDB state for Python that is kept up. What that client knows can be taken
over as it prints it itself: ``luet search --installed --hidden --full --files -o json``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.client.catalog import Catalog
from farm.client.change import Candidate
from farm.client.config import ClientConfig
from farm.client.database import Database, Installed
from farm.client.subsets import ignored
from farm.spec.index import Index
from farm.spec.model import PackageId
from farm.spec.problem import error


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """A package and how much of it is there: of ``checked`` files with a known digest, ``same`` have it."""

    installed: Installed
    checked: int
    same: int


def adopt(config: ClientConfig, catalog: Catalog, database: Database) -> list[Found]:
    """Registers every package whose files are all in the root; of several versions, the one that fits best.

    Files of subsets that are not enabled need not be there. A package without files is taken when one that was found
    needs it. What is registered already stays as it is. Gives what was registered.
    """
    known = {package.id.atom for package in database.installed(files=False)}
    best: dict[str, Found] = {}
    for candidate in catalog.candidates:
        if candidate.id.atom in known or not candidate.entry.metadata.files:
            continue
        found = _look(config, candidate)
        if found is not None and _better(found, best.get(candidate.id.atom)):
            best[candidate.id.atom] = found
    chosen = [*best.values(), *_without_files(catalog, best, known)]
    return _register(database, chosen)


def adopt_stones(config: ClientConfig, content: bytes, database: Database) -> list[Found]:
    """Registers what another client says, in JSON, that it has installed. FarmError ``bad-stones``."""
    try:
        document = json.loads(content)
    except ValueError as fault:
        raise error("bad-stones", f"this is no JSON: {fault}") from fault
    stones = document.get("stones") if isinstance(document, Mapping) else None
    if not isinstance(stones, list):
        hint = "it is made with `luet search --installed --hidden --full --files -o json`"
        raise error("bad-stones", "this is no list of installed packages", hint=hint)
    known = {package.id for package in database.installed(files=False)}
    found = [_of_stone(stone, config.rootfs) for stone in stones]
    return _register(database, [Found(one, 0, 0) for one in found if one.id not in known])


def _look(config: ClientConfig, candidate: Candidate) -> Found | None:
    """The package as it is in the root; None when a file is missing."""
    metadata = candidate.entry.metadata
    ignore = ignored(candidate.id, metadata.runtime, config)
    files = tuple(path for path in metadata.files if not ignore.matches_name(path))
    if not files or not all(os.path.lexists(config.rootfs / path) for path in files):
        return None
    digests = {path: digest for path in files if (digest := metadata.farm.get("digests", {}).get(path))}
    same = sum(_digest(config.rootfs / path) == digest for path, digest in digests.items())
    return Found(_installed(candidate, files, digests), len(digests), same)


def _installed(
    candidate: Candidate, files: tuple[str, ...] = (), digests: Mapping[str, str] | None = None
) -> Installed:
    metadata = candidate.entry.metadata
    return Installed(
        candidate.id,
        candidate.repository.name,
        metadata.runtime,
        files,
        candidate.entry.finalizer,
        digests=digests or {},
        sha256=metadata.sha256,
    )


def _better(found: Found, other: Found | None) -> bool:
    """Whether more of what can be checked is right; of equals, the higher version is better."""
    if other is None:
        return True
    index = Index([found.installed, other.installed])
    higher = index.number[found.installed.id] > index.number[other.installed.id]
    rank, before = (one.same / one.checked if one.checked else 0.5 for one in (found, other))
    return (rank, higher) > (before, not higher)


def _without_files(catalog: Catalog, best: Mapping[str, Found], known: set[str]) -> list[Found]:
    """Packages without files that something found needs, and that nothing with files satisfies."""
    empty = [one for one in catalog.candidates if not one.entry.metadata.files and one.id.atom not in known]
    offered: Index[Installed] = Index([*(one.installed for one in best.values()), *map(_installed, empty)])
    atoms = set(best)
    waiting = [one.installed for one in best.values()]
    added = []
    for package in waiting:
        for requirement in package.requires:
            fitting = offered.candidates(requirement)
            if fitting and not any(one.id.atom in atoms for one in fitting):
                atoms.add(fitting[0].id.atom)
                waiting.append(fitting[0])
                added.append(Found(fitting[0], 0, 0))
    return added


def _register(database: Database, found: Sequence[Found]) -> list[Found]:
    """Puts packages into the database. Those that no other of them needs count as asked for."""
    needed = _needed([one.installed for one in found])
    made = [
        dataclasses.replace(one, installed=dataclasses.replace(one.installed, requested=one.installed.id not in needed))
        for one in found
    ]
    with database.transaction():
        for one in made:
            database.add(one.installed)
    return made


def _needed(packages: Sequence[Installed]) -> set[PackageId]:
    index = Index(packages)
    return {index.ids[n] for package in packages for one in package.requires for n in index.fitting(one)}


def _of_stone(stone: Any, rootfs: Path) -> Installed:
    if not isinstance(stone, Mapping) or not all(isinstance(stone.get(key), str) for key in _IDENTITY):
        raise error("bad-stones", "a package without name, category or version")
    files = stone.get("files") or ()
    runtime = {key: value for key, value in stone.items() if key not in ("files", "repository")}
    return Installed(
        PackageId(stone["category"], stone["name"], stone["version"]),
        str(stone.get("repository") or ""),
        runtime,
        tuple(_relative(files, rootfs)),
    )


def _relative(files: Iterable[Any], rootfs: Path) -> list[str]:
    """Paths below the root; the Go client prints them with the root in front, some versions of it twice."""
    prefix = str(rootfs).strip("/")
    found = []
    for written in files:
        path = str(written).strip("/")
        while prefix and path.startswith(f"{prefix}/"):
            path = path.removeprefix(f"{prefix}/").lstrip("/")
        found.append(path)
    return found


def _digest(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_IDENTITY = ("name", "category", "version")
