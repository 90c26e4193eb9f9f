# SPDX-License-Identifier: GPL-3.0-or-later
"""The canonical tar of a list of entries. Format: POSIX.1-2017 pax, "pax Interchange Format".

One tree has one canonical tar: see docs/store.md for the rules.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable

from farm.store.entry import BLOCK, CHAR, FILE, FOLDER, HARDLINK, WHITEOUT, Entry, chunks

END = bytes(1024)
"""Two zero blocks end an archive."""

OPAQUE_MARK = b".wh..wh..opq"
WHITEOUT_PREFIX = b".wh."
"""Names of the OCI image specification, "Layer filesystem changeset"."""

_SMALL = 1 << 20
_ZEROS = bytes(512)
_PAX_NAME = b"././@PaxHeader"
_TAIL = bytes(167)
_NAMES = bytes(64)

Write = Callable[[bytes], object]


def write_tar(entries: Iterable[Entry], write: Write) -> int:
    """Hands the archive of ``entries`` (in their order) to ``write`` piece by piece; returns their number.

    A whiteout becomes ``.wh.NAME``, an opaque folder is followed by ``.wh..wh..opq``.
    """
    count = 0
    for entry in entries:
        count += 1
        if entry.kind == WHITEOUT:
            folder, slash, name = entry.path.rpartition(b"/")
            write(header(_mark(folder + slash + WHITEOUT_PREFIX + name)))
            continue
        write(header(entry))
        if entry.kind == FILE:
            if entry.size:
                _write_content(entry, write)
        elif entry.opaque:
            write(header(_mark(entry.path + b"/" + OPAQUE_MARK)))
    write(END)
    return count


def header(entry: Entry) -> bytes:
    """The header blocks of one entry, with pax records before it where ustar cannot hold it."""
    kind = entry.kind
    name = entry.path + b"/" if kind == FOLDER else entry.path
    link, size, mtime = entry.link, entry.size, entry.mtime
    if (
        len(name) > 100
        or len(link) > 100
        or entry.xattrs
        or not (name.isascii() and link.isascii())
        or not _fits(entry)
    ):
        before = _pax(entry, name)
        name, link = _ascii(name), _ascii(link)
    else:
        before = b""
    major, minor = entry.rdev if kind in (CHAR, BLOCK) else (0, 0)
    head = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        name.ljust(100, b"\0"),
        entry.mode,
        _number(entry.uid, 7),
        _number(entry.gid, 7),
        _number(size, 11),
        _number(mtime, 11),
    )
    tail = b"%b%bustar\x0000%b%07o\0%07o\0%b" % (kind, link.ljust(100, b"\0"), _NAMES, major, minor, _TAIL)
    # Adler-32's low half is one more than the sum of the bytes while that is below 65521, which ASCII guarantees.
    total = (zlib.adler32(tail, zlib.adler32(head)) & 0xFFFF) - 1 + 256
    return b"%b%b%06o\0 %b" % (before, head, total, tail)


def _mark(path: bytes) -> Entry:
    return Entry(path, FILE, 0)


def _write_content(entry: Entry, write: Write) -> None:
    for data in chunks(entry, _SMALL):
        write(data)
    if rest := entry.size & 511:
        write(_ZEROS[rest:])


def _fits(entry: Entry) -> bool:
    return entry.uid < 0o10000000 and entry.gid < 0o10000000 and entry.size < 1 << 33 and 0 <= entry.mtime < 1 << 33


def _number(value: int, digits: int) -> int:
    return value if 0 <= value < 8**digits else 0


def _ascii(name: bytes) -> bytes:
    return name[:100].decode("ascii", "replace").replace("\ufffd", "?").encode()


def _pax(entry: Entry, name: bytes) -> bytes:
    records: dict[str, bytes] = {}
    if len(name) > 100 or not name.isascii():
        records["path"] = name
    if len(entry.link) > 100 or not entry.link.isascii():
        records["linkpath"] = entry.link
    for key, value, digits in (
        ("uid", entry.uid, 7),
        ("gid", entry.gid, 7),
        ("size", entry.size, 11),
        ("mtime", entry.mtime, 11),
    ):
        if not 0 <= value < 8**digits:
            records[key] = b"%d" % value
    if entry.kind != HARDLINK:
        records.update({"SCHILY.xattr." + _keyword(key): value for key, value in entry.xattrs.items()})
    body = b"".join(_record(key, records[key]) for key in sorted(records))
    if not (_is_utf8(records.get("path", b"")) and _is_utf8(records.get("linkpath", b""))):
        body = _record("hdrcharset", b"BINARY") + body
    head = Entry(_PAX_NAME, b"x")
    head.size = len(body)
    return header(head) + body + bytes(-len(body) % 512)


def _record(key: str, value: bytes) -> bytes:
    name = os.fsencode(key)
    rest = len(name) + len(value) + 3
    size = rest + len(str(rest))
    if len(str(size)) > len(str(rest)):
        size = rest + len(str(size))
    return b"%d %b=%b\n" % (size, name, value)


def _keyword(name: str) -> str:
    """An attribute's name as GNU tar writes it: a pax keyword cannot hold ``=``."""
    return name.replace("%", "%25").replace("=", "%3D")


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
