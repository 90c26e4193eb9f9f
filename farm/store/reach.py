# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths into a tree that may be deeper than the kernel's PATH_MAX."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from types import TracebackType

_LIMIT = 500
_OPEN = 16


class Reach:
    """Names for what lies below ``root``, each short enough for a system call.

    A folder deeper than the limit is named through a directory descriptor of an ancestor
    (``/proc/self/fd/N/…``). The tree has to be private or immutable: folders above an entry are those that a
    walk found, and no link among them is followed because there is none.
    """

    def __init__(self, root: Path | bytes) -> None:
        self.root = os.fsencode(root)
        self._open: OrderedDict[bytes, int] = OrderedDict()

    def at(self, folder: bytes) -> bytes:
        """A name of the folder ``folder`` (relative; empty: the top) that leaves room for a file name.

        For a deep folder it holds only until `at` was called for some other folders.
        """
        if len(folder) <= _LIMIT:
            return self.root + b"/" + folder if folder else self.root
        cut = folder.rindex(b"/", 0, len(folder) - (len(folder) - 1) % _LIMIT)
        return b"/proc/self/fd/%d/%s" % (self._descriptor(folder[:cut]), folder[cut + 1 :])

    def entry(self, path: bytes) -> bytes:
        """A name of any entry below the root, under the same condition as `at`."""
        folder, _, name = path.rpartition(b"/")
        return self.at(folder) + b"/" + name

    def close(self) -> None:
        """Closes all descriptors."""
        while self._open:
            os.close(self._open.popitem()[1])

    def __enter__(self) -> Reach:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _descriptor(self, folder: bytes) -> int:
        fd = self._open.get(folder)
        if fd is None:
            fd = os.open(self.at(folder), os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._open[folder] = fd
            if len(self._open) > _OPEN:
                os.close(self._open.popitem(last=False)[1])
        self._open.move_to_end(folder)
        return fd
