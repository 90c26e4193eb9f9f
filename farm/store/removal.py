# SPDX-License-Identifier: GPL-3.0-or-later
"""Deleting a folder tree that may hold anything, without ever leaving it.

Nothing is deleted where a mount lies below; only names of opened folders are used; no link is followed; a
folder on another file system is refused. Depth has no limit: deep folders are lifted to the top first.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from farm.spec.problem import error

_DEPTH = 50
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def mounts_below(path: Path) -> list[str]:
    """Mount points at or below ``path`` (absolute, no link in it) in this mount namespace (proc(5), mountinfo)."""
    top = os.fsencode(path)
    with open("/proc/self/mountinfo", "rb") as file:
        points = [_unescape(line.split(b" ", 5)[4]) for line in file]
    return [os.fsdecode(p) for p in points if p == top or p.startswith(top.rstrip(b"/") + b"/")]


def remove_tree(path: Path) -> None:
    """Removes ``path`` and all below it; a path that is not there is fine.

    Raises FarmError ``mounted`` when something is mounted at or below it, and ``other-file-system``.
    """
    above = path.parent.resolve()
    parent = os.open(above, _FOLDER)
    try:
        if not _is_folder(parent, path.name):
            _unlink(parent, path.name)
            return
        if found := mounts_below(above / path.name):
            raise error("mounted", f"{path} is not deleted: {found[0]} is mounted", hint=f"umount {found[0]}")
        top = os.open(path.name, _FOLDER, dir_fd=parent)
        try:
            _empty(top, top, os.fstat(top).st_dev, 0)
        finally:
            os.close(top)
        os.rmdir(path.name, dir_fd=parent)
    finally:
        os.close(parent)


def _empty(folder: int, top: int, device: int, depth: int) -> None:
    """Removes all in ``folder``. At the depth limit, folders are moved up to ``top`` and found there again."""
    while names := os.listdir(folder):
        for name in names:
            if not _is_folder(folder, name):
                _unlink(folder, name)
            elif depth < _DEPTH:
                _remove_folder(folder, name, top, device, depth)
            else:
                os.rename(name, _free_name(), src_dir_fd=folder, dst_dir_fd=top)
        if folder != top:
            return


def _remove_folder(parent: int, name: str, top: int, device: int, depth: int) -> None:
    if _try_rmdir(parent, name):
        return
    folder = os.open(name, _FOLDER, dir_fd=parent)
    try:
        if os.fstat(folder).st_dev != device:
            raise error("other-file-system", f"{name} is not deleted: it is on another file system")
        _empty(folder, top, device, depth + 1)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


def _try_rmdir(parent: int, name: str) -> bool:
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as problem:
        if problem.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def _is_folder(parent: int, name: str) -> bool:
    try:
        return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode & 0o170000 == 0o040000
    except FileNotFoundError:
        return False


def _unlink(parent: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return


def _free_name() -> str:
    return f".lifted-{os.urandom(12).hex()}"


def _unescape(name: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), name)
