# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PTH115
# (names are bytes, which pathlib cannot hold)
"""Whether a file of a root and one that was unpacked have the same content."""

from __future__ import annotations

import os
import stat

from farm.client.transaction.area import Area

_CHUNK = 1 << 18


def same(staged: bytes, root: Area, path: bytes) -> bool:
    """Whether both are regular files of the same bytes, or links that say the same."""
    ours, theirs = os.lstat(staged), root.status(path)
    if theirs is None or stat.S_IFMT(ours.st_mode) != stat.S_IFMT(theirs.st_mode):
        return False
    if stat.S_ISLNK(ours.st_mode):
        return os.readlink(staged) == root.readlink(path)
    if not stat.S_ISREG(ours.st_mode) or ours.st_size != theirs.st_size:
        return False
    fd = root.open(path)
    with open(fd, "rb") as one, open(staged, "rb") as other:
        while (data := one.read(_CHUNK)) == other.read(_CHUNK):
            if not data:
                return True
    return False
