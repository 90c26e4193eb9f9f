# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixups: files and folders that a specification puts into its kit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from farm.kit import unit
from farm.kit.ebuilds import Kit
from farm.kit.model import Fixup, Target
from farm.kit.tree import FolderTree
from farm.kit.unit import Unit
from farm.spec.problem import FarmError, Problem
from farm.spec.regex import compile_go


def check_fixups(fixups: Sequence[Fixup]) -> None:
    """FarmError ``no-such-file`` with all fixups whose file or folder is not there."""
    problems = []
    for fixup in fixups:
        if not (fixup.origin.is_dir() if fixup.is_folder else fixup.origin.is_file()):
            what = "folder" if fixup.is_folder else "file"
            hint = "paths are relative to the specification's folder"
            problems.append(Problem("no-such-file", f"there is no {what} {fixup.origin}", fixup.place, hint))
    if problems:
        raise FarmError(problems)


def plan_fixups(spec: Target, target: Kit, specfile: str, *, new: bool) -> list[Unit]:
    """A unit for each fixup that changes something, in the order of the specification."""
    units = []
    for fixup in spec.fixups:
        changes = _folder(fixup, target) if fixup.is_folder else _file(fixup, target)
        what = "directory" if fixup.is_folder else "file"
        if changes:
            units.append(unit.fixup(spec.branch, specfile, fixup.name, what, changes, new=new))
    return units


Contents = dict[str, tuple[str, bytes] | None]


def _file(fixup: Fixup, target: Kit) -> Contents:
    content = fixup.origin.resolve().read_bytes()
    mode = FolderTree(Path(fixup.origin.resolve().parent)).mode(fixup.origin.resolve().name)
    there = target.tree.entries.get(fixup.to)
    if there and there.mode == mode and target.tree.read(fixup.to) == content:
        return {}
    return {fixup.to: (mode, content)}


def _folder(fixup: Fixup, target: Kit) -> Contents:
    """All of the folder; what the kit has besides goes away only where ``keep_files`` says what may stay."""
    tree = FolderTree(fixup.origin.resolve())
    changes: Contents = {}
    for path, entry in tree.entries.items():
        to = f"{fixup.to}/{path}"
        if target.tree.entries.get(to) != entry:
            changes[to] = (entry.mode, tree.read(path))
    if fixup.keep_files:
        kept = [compile_go(regex).search for regex in fixup.keep_files]
        for to in target.tree.entries:
            inside = to.startswith(f"{fixup.to}/") and to.removeprefix(f"{fixup.to}/") not in tree.entries
            if inside and not any(search(to.removeprefix(f"{fixup.to}/")) for search in kept):
                changes[to] = None
    return changes
