# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes from a wagon's folder what no kept revision needs."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

from farm.spec.model import PackageId
from farm.spec.problem import FarmError
from farm.spec.version import Version
from farm.wagon.inputs import COMPANIONS
from farm.wagon.metadata import SUFFIX, read_metadata
from farm.wagon.reading import read_index
from farm.wagon.revisions import GRACE, WagonFolder

_TARBALL = re.compile(r"(.+)\.package\.tar(?:\.gz|\.zst)?")


@dataclasses.dataclass(frozen=True, slots=True)
class Pruned:
    """What goes: numbers of revisions, names of files, and their bytes."""

    revisions: tuple[int, ...]
    files: tuple[str, ...]
    size: int


def prune(path: Path, *, versions: int, keep: int, grace: float = GRACE, dry_run: bool = False) -> Pruned:
    """Keeps the last ``keep`` revisions, all that they need, and the ``versions`` highest versions of each package.

    A tree that was replaced less than ``grace`` seconds ago stays. With ``dry_run`` nothing is removed. FarmError
    ``no-wagon``; and when a kept revision cannot be read: what it needs is not known then, and nothing is removed.
    """
    folder = WagonFolder(path)
    folder.content()
    with folder.changing():
        outdated = folder.outdated(keep)
        files = [*folder.waste(outdated, grace=grace), *_packages(folder, outdated, versions)]
        size = sum((path / name).stat().st_size for name in files)
        if not dry_run:
            folder.forget(outdated)
            for name in files:
                (path / name).unlink(missing_ok=True)
        return Pruned(tuple(outdated), tuple(sorted(files)), size)


def _packages(folder: WagonFolder, outdated: Iterable[int], versions: int) -> list[str]:
    """Tarballs, and what lies beside them, that are neither needed nor of the highest versions."""
    needed = _needed(folder, outdated)
    stems = {match.group(1) for path in folder.path.iterdir() if (match := _TARBALL.fullmatch(path.name))}
    stems |= {path.name[: -len(end)] for end in COMPANIONS for path in folder.path.glob(f"*{end}")}
    kept = needed | _highest(folder.path, stems, versions)
    names = {path.name for path in folder.path.iterdir()}
    ends = [*COMPANIONS, *(f".package.tar{end}" for end in ("", ".gz", ".zst"))]
    return sorted(f"{stem}{end}" for stem in stems - kept for end in ends if f"{stem}{end}" in names)


def _needed(folder: WagonFolder, outdated: Iterable[int]) -> set[str]:
    """Stems of the files that the current and the kept revisions name."""
    current = folder.current()
    kept = [folder.revision(number) for number in set(folder.kept()) - set(outdated)]
    needed = set()
    for repository in [*([current] if current else []), *kept]:
        for published in read_index(repository, folder.open_file).values():
            needed.add(published.path.partition(".package.tar")[0])
    return needed


def _highest(folder: Path, stems: Iterable[str], versions: int) -> set[str]:
    """Stems of the highest versions of each package, as far as their metadata tells who they are."""
    by_atom: dict[str, list[tuple[PackageId, str]]] = {}
    for stem in stems:
        try:
            id = read_metadata(folder / f"{stem}{SUFFIX}", brief=True).id
            Version.parse(id.version)
        except FarmError:
            continue
        by_atom.setdefault(id.atom, []).append((id, stem))
    kept = set()
    for found in by_atom.values():
        ranked = sorted({Version.parse(id.version) for id, _ in found}, reverse=True)[:versions]
        kept |= {stem for id, stem in found if Version.parse(id.version) in ranked}
    return kept
