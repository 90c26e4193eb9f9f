# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a wagon is whole: every file that it names is there with the bytes that it says, and can be read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from farm.spec.problem import FarmError, Place, Problem
from farm.store.signature import PublicKey, verify
from farm.wagon.digests import Digests
from farm.wagon.reading import Entry, Wagon
from farm.wagon.revisions import WagonFolder


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. ``signed``: the id of the trusted key that signed it; empty: not signed, or not asked for."""

    revision: int
    packages: int
    signed: str
    problems: tuple[Problem, ...]


def check_wagon(path: Path, trusted: Sequence[PublicKey], *, signature: bool) -> Verdict:
    """Verifies a wagon in a folder of this host, everything anew.

    ``signature``: it has to be signed by a trusted key. If not, a signature that is there still has to be right when
    its key is known. All that is wrong is in ``problems``; FarmError only when there is no wagon.
    """
    folder = WagonFolder(path)
    content = folder.content()
    problems: list[Problem] = []
    signed = _signed(folder, content, trusted, signature, problems)
    try:
        wagon = Wagon.parse(content, folder.open_file)
    except FarmError as failure:
        return Verdict(0, 0, signed, (*problems, *failure.problems))
    problems += _repo_files(folder, wagon)
    for entry in wagon.packages.values():
        problems += _entry(entry)
    problems += _files(path, wagon)
    return Verdict(wagon.repository.revision, len(wagon.packages), signed, tuple(problems))


def _signed(
    folder: WagonFolder, content: bytes, trusted: Sequence[PublicKey], required: bool, problems: list[Problem]
) -> str:
    try:
        return verify(content, folder.signature(), trusted).id[::-1].hex().upper()
    except FarmError as failure:
        if required or failure.code == "bad-signature":
            problems += failure.problems
        elif failure.code == "untrusted-key":
            problems += [dataclasses.replace(problem, severity="warning") for problem in failure.problems]
        return ""


def _repo_files(folder: WagonFolder, wagon: Wagon) -> Iterator[Problem]:
    digests = Digests(None)
    for key, file in wagon.repository.repo_files.items():
        path = folder.path / file.filename
        if not path.is_file():
            yield Problem("wagon-file-missing", f"{key}: there is no {file.filename}", Place(str(path)))
        elif digests.of_one(path) != file.sha256:
            message = f"{key}: sha256 of {file.filename} is not what repository.yaml says"
            yield Problem("wagon-digest-mismatch", message, Place(str(path)))


def _entry(entry: Entry) -> Iterator[Problem]:
    """Whether the definition and the finalizer can be read."""
    try:
        _ = entry.definition, entry.finalizer
    except FarmError as failure:
        yield from (dataclasses.replace(problem, package=str(entry.id)) for problem in failure.problems)


def _files(folder: Path, wagon: Wagon) -> Iterator[Problem]:
    """Tarballs and the files beside them."""
    expected = []
    for id, entry in wagon.packages.items():
        expected.append((entry.metadata.path, entry.metadata.sha256, str(id)))
        expected += [(name, digest, str(id)) for name, digest in entry.metadata.beside.items()]
    there = [item for item in expected if "/" not in item[0] and (folder / item[0]).is_file()]
    found = Digests(None).of(folder / name for name, _, _ in there)
    for name, digest, package in expected:
        path = folder / name
        if (name, digest, package) not in there:
            yield Problem("missing-tarball", f"there is no {name}", Place(str(path)), package=package)
        elif found[path] != digest:
            message = f"sha256 of {name} is {found[path]}, the wagon says {digest}"
            yield Problem("package-digest-mismatch", message, Place(str(path)), package=package)
