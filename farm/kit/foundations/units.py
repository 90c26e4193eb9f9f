# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be changed in a kit's branch for it to have exactly the packages that it is to have, as commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from farm.kit.ebuilds import Kit as Files
from farm.kit.foundations.model import Kit, Overlay, PythonSettings
from farm.kit.foundations.resolve import Content, Taken
from farm.kit.tree import FILE, LINK
from farm.kit.unit import Step, Unit, plain
from farm.spec.problem import Problem

Changes = dict[str, tuple[str, bytes] | None]


def package_units(
    content: Content, target: Files, files: Mapping[Overlay, Files], fixups: Sequence[Files]
) -> list[Unit]:
    """A unit for each package that changes, sorted by name: whole folders, as the overlay or the fixup has them.

    A package that the kit is to have no longer goes away.
    """
    units = []
    for catpkg in sorted({*content.packages, *target.packages}):
        taken = content.packages.get(catpkg)
        wanted = _folder(catpkg, taken, files, fixups) if taken else {}
        changes = _difference(wanted, target, f"{catpkg}/")
        if changes:
            word = "Remove" if not taken else "Update" if catpkg in target.packages else "Add"
            units.append(_unit(content.kit, catpkg, f"{word} {catpkg}", changes))
    return units


def file_units(
    kit: Kit, target: Files, overlays: Iterable[tuple[Overlay, Files]], fixups: Sequence[Files], problems: list[Problem]
) -> list[Unit]:
    """Files that overlays (``copyfiles``) and fixups (all that is no package) bring along."""
    wanted: Changes = {}
    for overlay, files in overlays:
        for path, to in overlay.copyfiles:
            if path in files.tree.entries and files.tree.entries[path].mode != LINK:
                wanted[to] = (files.tree.entries[path].mode, files.tree.read(path))
            else:
                message = f"{overlay.name} has no {path}"
                problems.append(Problem("no-such-file", message, overlay.place, "mend copyfiles", "warning"))
    for layer in fixups:
        packages = tuple(f"{name}/" for name in layer.packages)
        for path, entry in layer.tree.entries.items():
            if not path.startswith(packages) and entry.mode != LINK:
                wanted[path] = (entry.mode, layer.tree.read(path))
    changes = {path: new for path, new in wanted.items() if _differs(new, target, path)}
    return [_unit(kit, "files", "Update files of overlays and fixups", changes)] if changes else []


def python_unit(kit: Kit, settings: PythonSettings | None, target: Files) -> list[Unit]:
    """``profiles/package.mask/python-kit``: the Pythons that a branch of python-kit does not support."""
    path = "profiles/package.mask/python-kit"
    wanted = f"{settings.mask}\n".encode() if settings and settings.mask else None
    there = target.tree.read(path) if path in target.tree.entries else None
    if wanted == there:
        return []
    return [_unit(kit, "python", "Update the mask of python-kit", {path: (FILE, wanted) if wanted else None})]


def _folder(catpkg: str, taken: Taken, files: Mapping[Overlay, Files], fixups: Sequence[Files]) -> Changes:
    """The files of a package under the name that it has in the kit."""
    if taken.overlay is None:
        source = next(layer for layer in reversed(fixups) if catpkg in layer.packages)
    else:
        source = files[taken.overlay]
    old, new = taken.name.partition("/")[2], catpkg.partition("/")[2]
    found: Changes = {}
    for path, entry in source.folder(taken.name).items():
        renamed = f"{new}-{path.removeprefix(f'{old}-')}" if path.endswith(".ebuild") and "/" not in path else path
        if entry.mode != LINK:
            found[f"{catpkg}/{renamed}"] = (entry.mode, source.tree.read(f"{taken.name}/{path}"))
    return found


def _difference(wanted: Changes, target: Files, prefix: str) -> Changes:
    there = list(target.folder(prefix.rstrip("/")))
    changes: Changes = {f"{prefix}{path}": None for path in there if f"{prefix}{path}" not in wanted}
    return changes | {path: new for path, new in wanted.items() if _differs(new, target, path)}


def _differs(new: tuple[str, bytes] | None, target: Files, path: str) -> bool:
    entry = target.tree.entries.get(path)
    if entry is None or new is None:
        return (entry is None) != (new is None)
    return entry.mode != new[0] or target.tree.read(path) != new[1]


def _unit(kit: Kit, subject: str, message: str, changes: Changes) -> Unit:
    branch = f"merge/{kit.branch}/foundations-{plain(subject)}"
    title = f"mark-devkit: [{kit.branch}] {message}"
    body = f"{message}, by the foundations of {kit.name}"
    return Unit("bump", subject, branch, title, body, (Step(message, dict(sorted(changes.items()))),))
