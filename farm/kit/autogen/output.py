# SPDX-License-Identifier: GPL-3.0-or-later
"""What was generated, as files of a kit: in memory for a merge, or in a folder to look at."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from farm.kit.autogen.package import Generated
from farm.kit.autogen.run import Outcome
from farm.kit.distfiles.fetching import Distfiles
from farm.kit.distfiles.parts import forget_parts, part_of
from farm.kit.manifest import Distfile, Manifest, agree, parse_manifest
from farm.kit.tree import EXECUTABLE, FILE, LINK
from farm.spec.problem import FarmError, Problem
from farm.spec.whole import write_whole

Contents = Mapping[str, tuple[str, bytes]]


def without_conflicts(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The same, where a package that contradicts an earlier one has failed.

    Two atoms may give different versions of a package; they may not give one ebuild, one of ``files/`` or one
    distfile (of any package: mirrors have one file of a name) two contents.
    """
    seen: dict[str, bytes | tuple[str, bytes]] = {}
    lines: dict[str, Distfile] = {}
    return [_checked(outcome, seen, lines) for outcome in outcomes]


def _checked(outcome: Outcome, seen: dict[str, bytes | tuple[str, bytes]], lines: dict[str, Distfile]) -> Outcome:
    made = outcome.generated
    if made is None:
        return outcome
    own: dict[str, bytes | tuple[str, bytes]] = {made.cpv.path: made.ebuild}
    own |= {f"{made.cpv.catpkg}/{path}": file for path, file in made.files.items()}
    clashes = [path for path, content in own.items() if seen.get(path, content) != content]
    distfiles = [got.distfile for got in made.distfiles]
    clashes += [line.name for line in distfiles if not agree(lines.get(line.name, line), line)]
    if not clashes:
        seen |= own
        lines |= {line.name: line for line in distfiles}
        return outcome
    message = f"{made.cpv}: {', '.join(clashes)}: another atom gives this another content"
    hint = "give one of the two other versions with selector:, another name, or remove it"
    problem = Problem("conflict", message, outcome.atom.place, hint, package=made.cpv.catpkg)
    return dataclasses.replace(outcome, status="failed", generated=None, problems=(problem,))


def contents_of(generated: Iterable[Generated]) -> dict[str, tuple[str, bytes]]:
    """The files of a kit that has just these packages: path → git's mode and content."""
    contents: dict[str, tuple[str, bytes]] = {}
    manifests: dict[str, Manifest] = {}
    for made in generated:
        catpkg = made.cpv.catpkg
        contents[made.cpv.path] = (FILE, made.ebuild)
        contents |= {f"{catpkg}/{path}": file for path, file in made.files.items()}
        manifests[catpkg] = manifests.get(catpkg, Manifest()).with_files(got.distfile for got in made.distfiles)
    for catpkg, manifest in manifests.items():
        if content := manifest.to_bytes():
            contents[f"{catpkg}/Manifest"] = (FILE, content)
    return contents


def write_kit(folder: Path, contents: Contents) -> list[str]:
    """Writes files of a kit into a folder, each whole, ebuilds last: the paths that changed.

    Manifest lines of ebuilds that are there from earlier stay. OSError.
    """
    changed = []
    for path in sorted(contents, key=lambda path: (path.endswith(".ebuild"), path)):
        mode, content = contents[path]
        if path.endswith("/Manifest"):
            content = _joined(folder / path, content)
        forget_parts(folder / path, 0)
        if _write(folder / path, mode, content):
            changed.append(path)
    return changed


def place_distfiles(distfiles: Distfiles, generated: Iterable[Generated], folder: Path) -> None:
    """Puts every distfile into a folder under its name. OSError."""
    for made in generated:
        for got in made.distfiles:
            distfiles.place(got, folder)


def _joined(file: Path, content: bytes) -> bytes:
    try:
        before = parse_manifest(file.read_bytes(), str(file))
    except (FileNotFoundError, FarmError):
        return content
    return before.with_files(parse_manifest(content, str(file)).distfiles.values()).to_bytes()


def _write(file: Path, mode: str, content: bytes) -> bool:
    if mode == LINK:
        target = os.fsdecode(content)
        if file.is_symlink() and str(file.readlink()) == target:
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        part = part_of(file)
        part.symlink_to(target)
        part.replace(file)
        return True
    bits = 0o755 if mode == EXECUTABLE else 0o644
    if file.is_file() and not file.is_symlink() and file.read_bytes() == content:
        if file.stat().st_mode & 0o777 == bits:
            return False
        file.chmod(bits)
        return True
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, content)
    file.chmod(bits)
    return True
