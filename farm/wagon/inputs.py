# SPDX-License-Identifier: GPL-3.0-or-later
"""What a wagon is made of: the packages that a tree defines and of which a folder has the tarballs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from farm.spec.model import Package, PackageId, Tree
from farm.spec.problem import FarmError, Place, Problem
from farm.wagon.contents import metadata_of
from farm.wagon.digests import Digests
from farm.wagon.metadata import COMPRESSIONS, SUFFIX, Metadata, read_metadata

PROVENANCE = ".provenance.json"
COMPANIONS = (SUFFIX, ".cdx.json", PROVENANCE)
"""Ends of the names of the files published beside a package."""

_TARBALL = ".package.tar"
_HOST = (b"buildtimestamp:", b"treedir:", b"\ndependencies:", b"build_options:")
_DEFINING = ("definition.yaml", "collection.yaml", "finalize.yaml")


@dataclasses.dataclass(frozen=True, slots=True)
class Stone:
    """A package to be published.

    ``metadata`` is read briefly (`read_metadata`); its ``path`` is the tarball's name in the input folder.
    ``rewrite`` says that its .metadata.yaml is missing, or tells of the host it was made on.
    """

    package: Package
    metadata: Metadata
    folder: Path
    rewrite: bool = False

    @property
    def id(self) -> PackageId:
        """Who it is."""
        return self.package.id

    @property
    def tarball(self) -> Path:
        """Where it is now."""
        return self.folder / self.metadata.path

    @property
    def companions(self) -> dict[str, Path]:
        """Files beside it that exist, by the end of their names."""
        stem = self.folder / self.id.fingerprint
        found = {end: Path(f"{stem}{end}") for end in COMPANIONS}
        return {end: path for end, path in found.items() if path.is_file()}


@dataclasses.dataclass(frozen=True, slots=True)
class Collected:
    """All that can be published, and how many packages are left out and why."""

    stones: tuple[Stone, ...]
    not_built: tuple[PackageId, ...]
    not_in_tree: tuple[str, ...]


def collect(tree: Tree, folder: Path, digests: Digests) -> Collected:
    """The packages of ``tree`` that ``folder`` has, in order of identity. A package without any file is left out.

    FarmError with all that is wrong: ``missing-tarball``, ``package-digest-mismatch``, ``bad-metadata``,
    ``wrong-package``, and errors of the definitions of what would be published; ``missing-packages`` when
    there is no such folder.
    """
    if not folder.is_dir():
        raise FarmError(Problem("missing-packages", f"no such folder: {folder}", hint="give it with --packages"))
    gathering = _Gathering(tree, folder, digests)
    gathering.run()
    if gathering.problems:
        raise FarmError(gathering.problems)
    known = {f"{package.fingerprint}{SUFFIX}" for package in tree.packages}
    stray = sorted(name for name in gathering.names if name.endswith(SUFFIX) and name not in known)
    return Collected(tuple(gathering.stones), tuple(gathering.missing), tuple(stray))


class _Gathering:
    def __init__(self, tree: Tree, folder: Path, digests: Digests) -> None:
        self.tree = tree
        self.folder = folder
        self.digests = digests
        self.names = {path.name for path in folder.iterdir()}
        self.stones: list[Stone] = []
        self.missing: list[PackageId] = []
        self.problems: list[Problem] = []

    def run(self) -> None:
        described = []
        for id, package in sorted(self.tree.packages.items()):
            if f"{id.fingerprint}{SUFFIX}" in self.names:
                described.append(package)
            elif tarball := self._tarball(id):
                self._from_tarball(package, self.folder / tarball)
            else:
                self.missing.append(id)
        self._described(described)
        self.stones.sort(key=lambda stone: stone.id)
        self.problems += self._definitions()

    def _tarball(self, id: PackageId) -> str | None:
        names = (f"{id.fingerprint}{_TARBALL}{end}" for end in reversed(COMPRESSIONS.values()))
        return next((name for name in names if name in self.names), None)

    def _from_tarball(self, package: Package, tarball: Path) -> None:
        with self._caught(package):
            digest = self.digests.of_one(tarball)
            metadata = metadata_of(package, tarball, digest)
            self.stones.append(Stone(package, metadata, self.folder, rewrite=True))

    def _described(self, packages: list[Package]) -> None:
        stones = [stone for package in packages for stone in self._stone(package)]
        there = [stone for stone in stones if self._has_tarball(stone)]
        digests = self.digests.of(stone.tarball for stone in there)
        for stone in there:
            if digests[stone.tarball] == stone.metadata.sha256:
                self.stones.append(stone)
            else:
                message = f"sha256 of {stone.metadata.path} is {digests[stone.tarball]}, not {stone.metadata.sha256}"
                hint = "the tarball and its .metadata.yaml are of different builds; build the package again"
                self._problem("package-digest-mismatch", message, stone.package, hint)

    def _stone(self, package: Package) -> Iterator[Stone]:
        path = self.folder / f"{package.id.fingerprint}{SUFFIX}"
        with self._caught(package):
            content = path.read_bytes()
            metadata = read_metadata(content, str(path), brief=True)
            if metadata.id != package.id:
                self._problem("wrong-package", f"{path.name} is of {metadata.id}", package, "build the package again")
                return
            yield Stone(package, metadata, self.folder, rewrite=_tells_of_host(content))

    def _has_tarball(self, stone: Stone) -> bool:
        if stone.metadata.path in self.names:
            return True
        hint = f"build the package again, or remove {stone.id.fingerprint}{SUFFIX}"
        message = f"there is no {stone.metadata.path} in {self.folder}"
        self._problem("missing-tarball", message, stone.package, hint)
        return False

    def _definitions(self) -> list[Problem]:
        """Errors in definitions of what would be published: clients would get half of what was written."""
        published = {str(stone.id) for stone in self.stones}
        return [
            problem
            for problem in self.tree.problems
            if problem.severity == "error" and problem.package in published and _is_defining(problem)
        ]

    def _problem(self, code: str, message: str, package: Package, hint: str) -> None:
        place = Place(str(self.folder / package.id.fingerprint))
        self.problems.append(Problem(code, message, place, hint, package=str(package.id)))

    def _caught(self, package: Package) -> _Caught:
        return _Caught(self, package)


class _Caught:
    """Turns what goes wrong with one package into problems, so that all are told at once."""

    def __init__(self, gathering: _Gathering, package: Package) -> None:
        self._gathering = gathering
        self._package = package

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, failure: BaseException | None, trace: object) -> bool:
        name = str(self._package.id)
        if isinstance(failure, FarmError):
            self._gathering.problems += [dataclasses.replace(p, package=name) for p in failure.problems]
            return True
        if isinstance(failure, OSError):
            self._gathering.problems.append(Problem("unreadable-file", str(failure), package=name))
            return True
        return False


def _is_defining(problem: Problem) -> bool:
    return problem.place is not None and problem.place.file.endswith(_DEFINING)


def _tells_of_host(content: bytes) -> bool:
    """Whether it is the Go tool's, which writes down folders, times and settings of the host."""
    return b"\nfarm:" not in content and (content.startswith(b"path: /") or any(mark in content for mark in _HOST))
