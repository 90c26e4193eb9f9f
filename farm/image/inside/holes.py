# SPDX-License-Identifier: GPL-3.0-or-later
"""Files with holes: what of them is data."""

from __future__ import annotations

import os
from collections.abc import Iterator

BLOCK = 4096
"""Bytes. Parts begin at a multiple of it."""
_CHUNK = 1 << 20


def parts(file: int, size: int) -> Iterator[tuple[int, bytes]]:
    """The parts of the first ``size`` bytes of a file that are no holes: (offset, bytes)."""
    at = 0
    while at < size:
        try:
            at = os.lseek(file, at, os.SEEK_DATA) // BLOCK * BLOCK
        except OSError:  # nothing but a hole is left
            return
        end = os.lseek(file, at, os.SEEK_HOLE)
        while at < min(end, size):
            data = os.pread(file, min(_CHUNK, -(-(end - at) // BLOCK) * BLOCK, size - at), at)
            yield at, data
            at += len(data)


def copy_parts(source: int, size: int, target: int, start: int) -> None:
    """Copies the first ``size`` bytes of a file into another, from offset ``start`` on; holes stay holes."""
    for at, data in parts(source, size):
        while data:
            done = os.pwrite(target, data, start + at)
            data, at = data[done:], at + done
