# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of what is in a tarball, as ``TZ=UTC tar --numeric-owner -tv`` of GNU tar has it (catalyst's CONTENTS)."""

from __future__ import annotations

import stat
import time

from farm.store.entry import BLOCK, CHAR, FIFO, FILE, FOLDER, HARDLINK, SYMLINK, Entry

FIRST_WIDTH = 19
"""GNU tar's column of owners and size grows from this width (``ugswidth`` of its src/list.c)."""

_MODES = {FOLDER: stat.S_IFDIR, SYMLINK: stat.S_IFLNK, CHAR: stat.S_IFCHR, BLOCK: stat.S_IFBLK, FIFO: stat.S_IFIFO}
_ESCAPES = {7: b"\\a", 8: b"\\b", 9: b"\\t", 10: b"\\n", 11: b"\\v", 12: b"\\f", 13: b"\\r", 92: b"\\\\"}


def line(entry: Entry, width: int = 0) -> tuple[bytes, int]:
    """The entry's line, and the width of the column from now on."""
    width = max(width, FIRST_WIDTH)
    mode = stat.filemode(_MODES.get(entry.kind, stat.S_IFREG) | entry.mode)
    mode = f"h{mode[1:]}" if entry.kind == HARDLINK else mode
    owner = f"{entry.uid}/{entry.gid}"
    size = f"{entry.rdev[0]},{entry.rdev[1]}" if entry.kind in (CHAR, BLOCK) else str(_size(entry))
    width = max(width, len(owner) + 1 + len(size))
    moment = time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry.mtime))
    head = f"{mode} {owner} {size:>{width - len(owner) - 1}} {moment} ".encode()
    name = quoted(entry.path.rstrip(b"/")) + (b"/" if entry.kind == FOLDER else b"")
    if entry.kind == SYMLINK:
        name += b" -> " + quoted(entry.link)
    elif entry.kind == HARDLINK:
        name += b" link to " + quoted(entry.link)
    return head + name + b"\n", width


def quoted(name: bytes) -> bytes:
    """A name with its control characters and backslashes escaped, so that it is one line."""
    if name.isascii() and b"\\" not in name and name.decode().isprintable():
        return name
    return b"".join(_quoted(byte) for byte in name)


def _quoted(byte: int) -> bytes:
    if byte in _ESCAPES:
        return _ESCAPES[byte]
    return b"\\%03o" % byte if byte < 32 or byte == 127 else bytes((byte,))


def _size(entry: Entry) -> int:
    return entry.size if entry.kind == FILE else 0
