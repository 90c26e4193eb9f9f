# SPDX-License-Identifier: GPL-3.0-or-later
"""Under which version and file names packages are published, given what was published before.

A file that was published is never given other bytes. A package whose bytes changed under the same version is published
under a file name of its own, so that clients with the old file in their cache, and clients of the old revision, are not
confused; or, if that is wanted, under the next version, so that clients upgrade.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.spec.bump import bump_version
from farm.spec.model import PackageId
from farm.spec.problem import FarmError, Problem
from farm.wagon.contents import definition_of, fingerprint
from farm.wagon.digests import Digests
from farm.wagon.inputs import Stone
from farm.wagon.metadata import SUFFIX, Metadata, read_metadata
from farm.wagon.reading import Published

_MARK = 12
_LONGEST = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Offer:
    """A package under the identity it is published with. ``copies``: target → source, or the bytes to write."""

    stone: Stone
    id: PackageId
    metadata: Metadata
    copies: Mapping[Path, Path | bytes]


class Edition:
    """Decides for all packages. ``before`` is what is published now."""

    def __init__(
        self,
        stones: Sequence[Stone],
        before: Mapping[PackageId, Published],
        packages: Path,
        output: Path,
        digests: Digests,
    ) -> None:
        self.stones = stones
        self.before = before
        self.output = output
        self.in_place = output.resolve() == packages.resolve()
        self.digests = digests
        self.names = {path.name for path in output.iterdir()}
        self.versions: dict[str, list[PackageId]] = {}
        for id in before:
            self.versions.setdefault(id.atom, []).append(id)
        self.warnings: list[Problem] = []

    def offers(self, *, bump_changed: bool = False) -> list[Offer]:
        """All packages in order of identity. FarmError ``duplicate-file``, ``duplicate-package``."""
        taken = {stone.id for stone in self.stones}
        offers = [self._offer(stone, self._version(stone, taken, bump_changed)) for stone in self.stones]
        _check_unique(offers)
        return sorted(offers, key=lambda offer: offer.id)

    def _version(self, stone: Stone, taken: set[PackageId], bump_changed: bool) -> str:
        """The version: that under which these very bytes were published, else its own, or the next if wanted."""
        last = self._last(stone, taken)
        if last is None:
            return stone.id.version
        if self.before[last].sha256 == stone.metadata.sha256:
            return last.version
        if bump_changed:
            return self._free(_next(last), taken).version
        self._warn(stone)
        return stone.id.version

    def _free(self, id: PackageId, taken: set[PackageId]) -> PackageId:
        while id in taken:
            id = _next(id)
        return id

    def _last(self, stone: Stone, taken: set[PackageId]) -> PackageId | None:
        """The last of the package's versions, counted up from its own, that was published."""
        found = stone.id if stone.id in self.before else None
        others = {id for id in self.versions.get(stone.id.atom, ()) if id not in taken}
        id = stone.id
        for _ in range(_LONGEST if others else 0):
            id = _next(id)
            if id in others:
                found = id
        return found

    def _warn(self, stone: Stone) -> None:
        message = f"{stone.id} has other bytes than in the last revision, under the same version"
        hint = "installed clients will not upgrade; raise the version, or use --bump-changed"
        self.warnings.append(Problem("package-changed", message, hint=hint, severity="warning", package=str(stone.id)))

    def _warn_uncompressed(self, stone: Stone) -> None:
        if stone.metadata.compression == "none":
            message = f"{stone.id} is not compressed: anise's clients install all of it, whatever subsets are enabled"
            hint = "build it with compression zstd"
            problem = Problem("uncompressed-package", message, hint=hint, severity="warning", package=str(stone.id))
            self.warnings.append(problem)

    def _offer(self, stone: Stone, version: str) -> Offer:
        id = dataclasses.replace(stone.id, version=version)
        self._warn_uncompressed(stone)
        path = self._path(stone, id)
        stem = path.partition(".package.tar")[0]
        copies: dict[Path, Path | bytes] = {}
        self._plan(copies, stone.tarball, path, stone.metadata.sha256)
        beside = self._beside(copies, stone, id, path, stem)
        metadata = _offered(stone, id, path, beside)
        return Offer(stone, id, metadata, copies)

    def _path(self, stone: Stone, id: PackageId) -> str:
        """The tarball's name: that under which it was published, anise's name, or one with its digest."""
        digest = stone.metadata.sha256
        old = self.before.get(id)
        if old and old.sha256 == digest:
            return old.path
        extension = stone.metadata.path.partition(".package.tar")[2]
        plain = f"{fingerprint(id)}.package.tar{extension}"
        in_use = bool(old and old.path == plain)
        if in_use or (plain in self.names and self._digest(plain) != digest):
            return f"{fingerprint(id)}.{digest[:_MARK]}.package.tar{extension}"
        return plain

    def _beside(
        self, copies: dict[Path, Path | bytes], stone: Stone, id: PackageId, path: str, stem: str
    ) -> dict[str, str]:
        """Names and digests of the files beside the tarball."""
        beside = {}
        for end, source in stone.companions.items():
            name = f"{stem}{end}"
            if end == SUFFIX and (stone.rewrite or path != stone.metadata.path or id != stone.id):
                continue
            beside[name] = self.digests.of_one(source)
            self._plan(copies, source, name, beside[name])
        if f"{stem}{SUFFIX}" not in beside:
            content = _rewritten(stone, id, path)
            beside[f"{stem}{SUFFIX}"] = hashlib.sha256(content).hexdigest()
            if self._digest(f"{stem}{SUFFIX}") != beside[f"{stem}{SUFFIX}"]:
                copies[self.output / f"{stem}{SUFFIX}"] = content
        return dict(sorted(beside.items()))

    def _plan(self, copies: dict[Path, Path | bytes], source: Path, name: str, digest: str) -> None:
        if self.in_place and source.name == name:
            return
        if self._digest(name) != digest:
            copies[self.output / name] = source

    def _digest(self, name: str) -> str | None:
        if name not in self.names:
            return None
        return self.digests.of_one(self.output / name)


def _next(id: PackageId) -> PackageId:
    return dataclasses.replace(id, version=bump_version(id.version))


def _offered(stone: Stone, id: PackageId, path: str, beside: dict[str, str]) -> Metadata:
    """What the tree says: without what few need, which is in the file .metadata.yaml."""
    definition = definition_of(stone.package, version=id.version)
    farm: dict[str, Any] = {"size": stone.tarball.stat().st_size}
    farm |= {
        key: stone.metadata.farm[key] for key in ("installed_size", "key", "platform") if key in stone.metadata.farm
    }
    farm["beside"] = beside
    # anise reads a package's config_protect only there
    compilespec = {"package": definition} if "config_protect" in stone.package.annotations else {}
    return dataclasses.replace(stone.metadata, path=path, runtime=definition, compilespec=compilespec, farm=farm)


def _rewritten(stone: Stone, id: PackageId, path: str) -> bytes:
    """The .metadata.yaml for a package under another name, or without what told of the host it was built on."""
    if stone.rewrite:
        metadata = stone.metadata
        farm = {"size": stone.tarball.stat().st_size, **metadata.farm}
        compilespec = metadata.compilespec or {"package": definition_of(stone.package, version=id.version)}
    else:
        metadata = read_metadata(stone.companions[SUFFIX])
        farm, compilespec = metadata.farm, metadata.compilespec
    runtime = definition_of(stone.package, version=id.version)
    return dataclasses.replace(metadata, path=path, runtime=runtime, compilespec=compilespec, farm=farm).to_yaml()


def _check_unique(offers: Sequence[Offer]) -> None:
    problems = []
    owners: dict[str, PackageId] = {}
    for offer in offers:
        other = owners.setdefault(offer.metadata.path, offer.id)
        if other is not offer.id:
            message = f"{other} and {offer.id} have the same file name {offer.metadata.path}"
            problems.append(Problem("duplicate-file", message, hint="rename one of them", package=str(offer.id)))
    if problems:
        raise FarmError(problems)
