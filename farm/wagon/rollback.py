# SPDX-License-Identifier: GPL-3.0-or-later
"""Goes back to an earlier revision, as a new one, so that clients take it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from farm.spec.problem import FarmError, Problem, error
from farm.store.signature import SecretKey, sign
from farm.wagon.create import comment_of, numbered
from farm.wagon.digests import Digests
from farm.wagon.reading import read_index
from farm.wagon.repository import Repository
from farm.wagon.revisions import WagonFolder


def roll_back(
    path: Path,
    target: int | None = None,
    *,
    key: SecretKey | None = None,
    unsigned: bool = False,
    epoch: int | None = None,
    cache: Path | None = None,
) -> Repository:
    """Publishes what revision ``target`` (default: the last but one) was, under the next number.

    FarmError, before anything is changed: ``no-wagon``, ``no-revision``, ``wagon-is-signed``; ``rollback-incomplete``
    with each file of that revision that is gone or has other bytes.
    """
    folder = WagonFolder(path)
    folder.content()
    with folder.changing():
        current = folder.current()
        assert current is not None
        wanted = folder.revision(_last_but_one(folder, current) if target is None else target)
        if folder.signature() and not (key or unsigned):
            hint = "give the key with --key, or let the wagon lose its signature with --unsigned"
            raise error("wagon-is-signed", f"the wagon in {path} is signed", hint=hint)
        _check(folder, wanted, Digests(cache))
        repository = numbered(wanted, current.revision + 1, epoch)
        signature = sign(repository.to_yaml(), key, comment_of(repository)) if key else None
        folder.switch(repository, signature)
        return repository


def _last_but_one(folder: WagonFolder, current: Repository) -> int:
    earlier = [number for number in folder.kept() if number < current.revision]
    if not earlier:
        raise error("no-revision", f"{folder.path} keeps no revision before {current.revision}")
    return earlier[-1]


def _check(folder: WagonFolder, wanted: Repository, digests: Digests) -> None:
    """That every byte of the revision is still there."""
    problems: list[Problem] = []
    try:
        index = read_index(wanted, folder.open_file)
    except FarmError as failure:
        index, problems = {}, list(failure.problems)
    files = {published.path: published.sha256 for published in index.values()}
    files |= {file.filename: file.sha256 for file in wanted.repo_files.values()}
    for name, digest in sorted(files.items()):
        path = folder.path / name
        if not path.is_file():
            problems.append(Problem("rollback-incomplete", f"{name} is gone"))
        elif digests.of_one(path) != digest:
            problems.append(Problem("rollback-incomplete", f"{name} has other bytes now"))
    if problems:
        hint = f"revision {wanted.revision} cannot be offered any more; build these again, or take another revision"
        raise FarmError([dataclasses.replace(problem, hint=hint, code="rollback-incomplete") for problem in problems])
