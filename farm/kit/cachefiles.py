# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit cache``: writes ``metadata/md5-cache`` of a kit in a folder, so that emerge need not make it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from farm.kit.confine import check_confinement
from farm.kit.ebuilds import Kit
from farm.kit.metadata.reading import MetadataReader
from farm.kit.metadata.scan import Scanned
from farm.kit.tree import FolderTree
from farm.spec.problem import error
from farm.spec.whole import write_whole

FOLDER = "metadata/md5-cache"


@dataclasses.dataclass(frozen=True)
class Cached:
    """Counts of files, and what portage could not read."""

    written: int
    kept: int
    removed: int
    scanned: int
    result: Scanned


def kit_of(folder: Path) -> Kit:
    """The kit in a folder, by its folder's name. FarmError ``no-kit`` when it does not look like one."""
    if not folder.is_dir():
        raise error("no-kit", f"there is no folder {folder}")
    kit = Kit(folder.resolve().name, FolderTree(folder))
    if not kit.packages and not kit.eclasses:
        raise error("no-kit", f"{folder} has neither ebuilds nor eclasses", hint="name the folder of a kit")
    return kit


def write_cache(folder: Path, masters: Sequence[Path], cache: Path) -> Cached:
    """Brings the md5-cache of a kit up to date: only files that differ are written, stale ones go.

    ``masters``: folders of kits whose eclasses are inherited. An entry that is not true any more is never left: it is
    removed when its ebuild cannot be read. FarmError ``no-kit``, and those of `farm.kit.metadata.scan.scan`.
    """
    check_confinement()
    kit = kit_of(folder)
    ebuilds = [cpv for cpvs in kit.packages.values() for cpv in cpvs]
    with MetadataReader(cache, [kit_of(master) for master in masters]) as reader:
        result = reader.read(kit, ebuilds)
        scanned = reader.scanned
    wanted = {f"{FOLDER}/{cpv}": entry.to_text().encode() for cpv, entry in result.found.items()}
    there = {path for path in kit.tree.entries if path.startswith(f"{FOLDER}/")}
    stale = there - wanted.keys()
    changed = [path for path in sorted(wanted) if path not in there or kit.tree.read(path) != wanted[path]]
    for path in changed:
        file = _inside(folder, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, wanted[path])
    for path in stale:
        _inside(folder, path).unlink(missing_ok=True)
    return Cached(len(changed), len(wanted) - len(changed), len(stale), scanned, result)


def _inside(folder: Path, path: str) -> Path:
    """A path below the kit; FarmError ``unsafe-path`` where a link leads out of it."""
    file = folder / path
    parent = Path(os.path.realpath(file.parent))
    if not parent.is_relative_to(folder.resolve()):
        raise error("unsafe-path", f"{file.parent} leads out of {folder}", hint="remove the link")
    return file
