# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PTH115
# (names are bytes, which pathlib cannot hold)
"""One entry of a file tree, as layers, packages and archives carry it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator

from farm.spec.problem import error

FILE, HARDLINK, SYMLINK, CHAR, BLOCK, FOLDER, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
"""Kinds are the type flags of tar (POSIX.1-2017, pax, ustar interchange format)."""

WHITEOUT = b"W"
"""Kind of an entry that hides the same path in the layers below."""

OPAQUE = "user.overlay.opaque"
NODE = "user.farm.node"
"""Extended attribute of the empty file that stands for a device a user namespace cannot make: ``c 1 3 666``."""

_NODE_FORM = re.compile(rb"([cb]) (\d{1,4}) (\d{1,7}) ([0-7]{1,4})")
_OVERLAY = ("user.overlay.", "trusted.overlay.")
_NOT_KEPT = ("user.overlay.", "trusted.", "user.farm.", "security.selinux", "security.ima", "security.evm")
_UNSUPPORTED = ("redirect", "metacopy")
_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFLNK: SYMLINK,
    stat.S_IFCHR: CHAR,
    stat.S_IFBLK: BLOCK,
    stat.S_IFIFO: FIFO,
}

Content = Iterable[bytes | memoryview]


class Entry:
    """A file, folder, link, device, FIFO or whiteout.

    ``path`` is relative to the tree's top, without ``./`` or a slash at its end. ``source`` is where the
    entry can be read right now. ``inode`` is set when the file has several names. ``mtime`` in seconds.
    ``marks`` are overlayfs' own attributes, without their prefix; they are part of no tar.
    """

    __slots__ = (
        "gid",
        "inode",
        "kind",
        "link",
        "marks",
        "mode",
        "mtime",
        "opaque",
        "path",
        "rdev",
        "size",
        "source",
        "uid",
        "xattrs",
    )

    def __init__(self, path: bytes, kind: bytes, mode: int = 0o644, *, mtime: int = 0, link: bytes = b"") -> None:
        self.path = path
        self.kind = kind
        self.mode = mode
        self.mtime = mtime
        self.link = link
        self.uid = 0
        self.gid = 0
        self.size = 0
        self.rdev = (0, 0)
        self.xattrs: dict[str, bytes] = {}
        self.marks: dict[str, bytes] = {}
        self.opaque = False
        self.inode: tuple[int, int] | None = None
        self.source = b""

    def same_but_time(self, other: Entry) -> bool:
        """Whether both are the same in all but time, path and a file's content."""
        return (
            self.kind == other.kind
            and self.mode == other.mode
            and self.uid == other.uid
            and self.gid == other.gid
            and self.size == other.size
            and self.link == other.link
            and self.rdev == other.rdev
            and self.xattrs == other.xattrs
        )


def examine(source: bytes, path: bytes) -> Entry | None:
    """The entry that lies at ``source``. None for a socket, which no archive can carry."""
    info = os.lstat(source)
    mode = info.st_mode
    kind = _KINDS.get(stat.S_IFMT(mode))
    if kind is None:
        return None
    entry = Entry(path, kind, mode & 0o7777, mtime=info.st_mtime_ns // 1_000_000_000)
    entry.source = source
    entry.uid = info.st_uid
    entry.gid = info.st_gid
    if kind == FILE:
        entry.size = info.st_size
    elif kind == SYMLINK:
        entry.mode = 0o777
        entry.link = os.readlink(source)
    elif kind in (CHAR, BLOCK):
        entry.rdev = (os.major(info.st_rdev), os.minor(info.st_rdev))
        if kind == CHAR and entry.rdev == (0, 0):
            entry.kind = WHITEOUT
            return entry
    if info.st_nlink > 1 and kind != FOLDER:
        entry.inode = (info.st_dev, info.st_ino)
    if names := os.listxattr(source, follow_symlinks=False):
        _read_xattrs(entry, names)
    return entry


def kept_attribute(name: str) -> bool:
    """Whether an extended attribute belongs to a file, and not to overlayfs, the host or the farm."""
    return not name.startswith(_NOT_KEPT)


def is_whiteout(info: os.stat_result) -> bool:
    """Whether this is overlayfs' whiteout, a character device 0/0 (Linux, Documentation/filesystems/overlayfs)."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def is_opaque(folder: bytes) -> bool:
    """Whether a folder of a layer hides the folders of the same path below it."""
    try:
        return os.getxattr(folder, OPAQUE) == b"y"
    except OSError:
        return False


def link_up(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Turns all names of a file but the first into hard links to the first."""
    first: dict[tuple[int, int], bytes] = {}
    for entry in entries:
        if entry.inode is not None and entry.kind != WHITEOUT:
            known = first.setdefault(entry.inode, entry.path)
            if known is not entry.path:
                entry.kind, entry.link, entry.size = HARDLINK, known, 0
        yield entry


def chunks(entry: Entry, size: int = 1 << 20) -> Iterator[bytes]:
    """The content of a file. Raises FarmError ``tree-changed`` when it is shorter than it was."""
    left = entry.size
    if not left:
        return
    fd = os.open(entry.source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        while left:
            data = os.read(fd, left if left < size else size)
            if not data:
                raise error("tree-changed", f"{os.fsdecode(entry.source)} changed while it was read", transient=True)
            left -= len(data)
            yield data
    finally:
        os.close(fd)


def _read_xattrs(entry: Entry, names: list[str]) -> None:
    for name in sorted(names):
        if name.startswith(_OVERLAY):
            mark = name.partition(".overlay.")[2]
            if mark in _UNSUPPORTED:
                raise error("overlay-feature", f"{os.fsdecode(entry.path)} carries {name}, which the store cannot read")
            entry.marks[mark] = os.getxattr(entry.source, name, follow_symlinks=False)
        elif name == NODE:
            if entry.kind == FILE and (node := _NODE_FORM.fullmatch(os.getxattr(entry.source, name))):
                _stand_for(entry, node)
        elif kept_attribute(name):
            entry.xattrs[name] = os.getxattr(entry.source, name, follow_symlinks=False)
    entry.opaque = entry.kind == FOLDER and entry.marks.get("opaque") == b"y"


def _stand_for(entry: Entry, node: re.Match[bytes]) -> None:
    entry.kind = CHAR if node[1] == b"c" else BLOCK
    entry.rdev = (int(node[2]), int(node[3]))
    entry.mode = int(node[4], 8)
    entry.size = 0


def node_value(entry: Entry) -> bytes:
    """What `NODE` of the file that stands for this device holds."""
    return b"%c %d %d %o" % (b"c" if entry.kind == CHAR else b"b", *entry.rdev, entry.mode)
