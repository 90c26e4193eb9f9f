# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's upper directory: what is in it before the commands run, and its way into the store.

Moved by renaming where the engine's storage and the store share a mount, else copied, with owners, extended
attributes, hard links, devices and whiteouts.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from farm.spec.problem import error
from farm.store.builder import Builder
from farm.store.entry import FILE, FOLDER, OPAQUE, chunks, link_up
from farm.store.reach import Reach
from farm.store.union import walk_layer


def made_by_engine(upper: Path, lowers: Sequence[Path]) -> list[str]:
    """Paths in the root, deepest first, that exist in no layer but were made as mount points."""
    made = []
    for folder, folders, files in os.walk(upper, topdown=False):
        place = "/" + os.path.relpath(folder, upper)
        made += [os.path.normpath(f"{place}/{name}") for name in files]
        for name in folders:
            path = os.path.normpath(f"{place}/{name}")
            if not any((lower / path[1:]).is_dir() for lower in lowers):
                made.append(path)
    return made


def empty_folder(folder: Path) -> None:
    """Removes the few things in the engine's own layer of a container that was not started yet."""
    for path, folders, files in os.walk(folder, topdown=False):
        for name in files:
            (Path(path) / name).unlink()
        for name in folders:
            inner = Path(path) / name
            if inner.is_symlink():
                inner.unlink()
            else:
                inner.rmdir()


def take(upper: Path, into: Path) -> None:
    """Moves all that is in ``upper`` into the empty folder ``into``. FarmError ``docker-take`` (transient)."""
    try:
        for entry in sorted(upper.iterdir()):
            entry.rename(into / entry.name)
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise error("docker-take", f"cannot take a container's changes: {problem}", transient=True) from problem
        _copy(upper, into)


def _copy(upper: Path, into: Path) -> None:
    builder = Builder(into)
    with Reach(upper) as reach:
        for entry in link_up(walk_layer(reach)):
            builder.add(entry, chunks(entry) if entry.kind == FILE else ())
            if entry.opaque:
                builder.opaque(entry.path)
    builder.finish()


def use_user_marks(upper: Path) -> None:
    """Marks opaque folders the way the sandbox's overlays read them, for `farm shell`."""
    with Reach(upper) as reach:
        for entry in walk_layer(reach):
            if entry.kind == FOLDER and entry.opaque:
                os.setxattr(entry.source, OPAQUE, b"y")
