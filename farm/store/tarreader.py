# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads tar archives: v7, ustar, pax (POSIX.1-2017), GNU's long names and sparse files.

Formats: POSIX.1-2017 "pax Interchange Format"; GNU tar manual, appendix D (sparse formats).

Names stay the bytes that they are. Metadata goes into `Entry`; nothing is written anywhere.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

from farm.spec.problem import error
from farm.store.entry import BLOCK, CHAR, FILE, FOLDER, WHITEOUT, Entry, kept_attribute

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_SPARSE = struct.Struct("12s12s")
_XATTR = b"SCHILY.xattr."
_MAX_EXTENSION = 64 << 20
_ZEROS = bytes(1 << 20)
_AT_ONCE = 1 << 18

Pax = dict[bytes, bytes]
Map = list[tuple[int, int]]


class Stream:
    """Bytes that arrive in pieces of any size."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._data = b""
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer only at the end."""
        end = self._at + size
        if end <= len(self._data):
            data = self._data[self._at : end]
            self._at = end
            return data
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[bytes | memoryview]:
        """The next ``size`` bytes as they come; fewer only at the end."""
        while size:
            if self._at == len(self._data):
                self._data, self._at = next(self._pieces, b""), 0
                if not self._data:
                    return
            piece = memoryview(self._data)[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            yield piece


class TarReader:
    """Iterating gives the entries; `content` gives the bytes of the file that was given last, if they are wanted."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._stream = Stream(pieces)
        self._left = 0
        self._padding = 0
        self._map: Map | None = None
        self._size = 0
        self._begun = False

    def __iter__(self) -> Iterator[Entry]:
        """All entries. Raises FarmError ``bad-archive``."""
        shared: Pax = {}
        pax: Pax = {}
        while (block := self._block()) is not None:
            self._begun = True
            fields = _HEADER.unpack(block)
            kind, size = fields[7], _number(fields[4])
            if kind in b"xgXLK":
                records = self._extension(kind, size)
                (shared if kind == b"g" else pax).update(records)
                continue
            entry = self._entry(block, fields, size, {**shared, **pax} if shared else pax)
            pax = {}
            if entry is not None:
                yield entry
            self._skip()

    def content(self) -> Iterator[bytes | memoryview]:
        """The bytes of the current file; holes of a sparse file are zeros."""
        if self._map is not None:
            return self._sparse(self._map)
        if self._left > _AT_ONCE:
            return self._take(self._left)
        data = self._stream.take(self._left)
        if len(data) < self._left:
            raise _bad("it ends in the middle of a file")
        self._left = 0
        return iter((data,)) if data else iter(())

    def _take(self, size: int) -> Iterator[bytes | memoryview]:
        for piece in self._stream.pieces(size):
            self._left -= len(piece)
            size -= len(piece)
            yield piece
        if size:
            raise _bad("it ends in the middle of a file")

    def _sparse(self, parts: Map) -> Iterator[bytes | memoryview]:
        at = 0
        for offset, size in [*parts, (self._size, 0)]:
            if offset < at or offset + size > self._size:
                raise _bad("a sparse file's map is wrong")
            yield from _holes(offset - at)
            yield from self._take(size)
            at = offset + size

    def _skip(self) -> None:
        for _ in self._stream.pieces(self._left + self._padding):
            pass
        self._left = self._padding = 0

    def _block(self) -> bytes | None:
        block = self._stream.take(512)
        if not block and not self._begun:
            raise _bad("it is empty")
        if not block.rstrip(b"\0"):
            return None
        if len(block) < 512:
            raise _bad("it ends in the middle of a header")
        if not _checks(block):
            raise _bad("a header's checksum is wrong")
        return block

    def _extension(self, kind: bytes, size: int) -> Pax:
        if size > _MAX_EXTENSION:
            raise _bad("an extended header is too large")
        data = self._stream.take(size)
        self._stream.take(-size % 512)
        if kind == b"L":
            return {b"path": data.rstrip(b"\0")}
        if kind == b"K":
            return {b"linkpath": data.rstrip(b"\0")}
        return _records(data)

    def _entry(self, block: bytes, fields: tuple[bytes, ...], size: int, pax: Pax) -> Entry | None:
        kind = fields[7]
        name, link = _text(fields[0]), _text(fields[8])
        if fields[14][0] and fields[9] == b"ustar\x0000":
            name = _text(fields[14]) + b"/" + name
        entry = Entry(name, kind, _number(fields[1]) & 0o7777, mtime=_number(fields[5]), link=link)
        entry.uid, entry.gid, entry.size = _number(fields[2]), _number(fields[3]), size
        if kind in (CHAR, BLOCK):
            entry.rdev = (_number(fields[12]), _number(fields[13]))
        if pax:
            _apply(entry, pax)
        self._begin(entry)
        if kind in (b"\0", b"7", FILE):
            entry.kind = FOLDER if entry.path.endswith(b"/") and kind != b"7" else FILE
        if kind == b"S" or any(key.startswith(b"GNU.sparse.") for key in pax):
            self._start_sparse(entry, block, pax)
        return _finished(entry)

    def _begin(self, entry: Entry) -> None:
        size = 0 if entry.kind in b"123456" else entry.size
        self._left, self._padding = size, -size % 512
        self._map = None

    def _start_sparse(self, entry: Entry, block: bytes, pax: Pax) -> None:
        entry.kind = FILE
        if b"GNU.sparse.name" in pax:
            entry.path = pax[b"GNU.sparse.name"]
        if entry.kind == b"S" or block[156:157] == b"S":
            self._map, self._size = self._old_map(block), _number(block[483:495])
        else:
            self._size = _decimal(pax.get(b"GNU.sparse.realsize", pax.get(b"GNU.sparse.size", b"0")))
            self._map = self._map_in_data() if b"GNU.sparse.major" in pax else _map_in_header(pax)
        entry.size = self._size

    def _old_map(self, block: bytes) -> Map:
        parts = _parts(block[386:482])
        more = block[482]
        while more:
            extra = self._stream.take(512)
            if len(extra) < 512:
                raise _bad("it ends in a sparse file's map")
            parts += _parts(extra[:504])
            more = extra[504]
        return parts

    def _map_in_data(self) -> Map:
        """GNU sparse format 1.0: decimal numbers, one a line, in whole blocks before the data."""
        lines: list[bytes] = []
        rest = b""
        while len(lines) < 1 or len(lines) < 1 + 2 * _decimal(lines[0]):
            block = self._stream.take(512)
            self._left -= 512
            if len(block) < 512 or self._left < 0:
                raise _bad("it ends in a sparse file's map")
            *whole, rest = (rest + block).split(b"\n")
            lines += whole
        numbers = [_decimal(line) for line in lines[1 : 1 + 2 * _decimal(lines[0])]]
        return list(zip(numbers[::2], numbers[1::2], strict=True))


def _finished(entry: Entry) -> Entry | None:
    if entry.kind == b"D":
        entry.kind = FOLDER
    elif entry.kind in b"VN":
        return None
    elif entry.kind == b"M":
        raise _bad("it is a part of several volumes")
    elif entry.kind not in b"0123456":
        entry.kind = FILE
    if entry.kind == CHAR and entry.rdev == (0, 0):
        entry.kind = WHITEOUT
    return entry


def _apply(entry: Entry, pax: Pax) -> None:
    entry.path = pax.get(b"path", entry.path)
    entry.link = pax.get(b"linkpath", entry.link)
    for name in (b"uid", b"gid", b"size", b"mtime"):
        if name in pax:
            setattr(entry, name.decode(), _decimal(pax[name]))
    for key, value in pax.items():
        if key.startswith(_XATTR):
            keyword = key[len(_XATTR) :].replace(b"%3D", b"=").replace(b"%25", b"%")
            attribute = keyword.decode("utf-8", "surrogateescape")
            if kept_attribute(attribute):
                entry.xattrs[attribute] = value


def _records(data: bytes) -> Pax:
    records: Pax = {}
    at = 0
    while at < len(data) and data[at : at + 1] != b"\0":
        space = data.find(b" ", at, at + 20)
        size = _decimal(data[at:space]) if space > 0 else 0
        key, equals, value = data[space + 1 : at + size - 1].partition(b"=")
        if size < 5 or not equals or data[at + size - 1 : at + size] != b"\n":
            raise _bad("a pax record is wrong")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            key, value = b"GNU.sparse.map", b",".join(filter(None, (records.get(b"GNU.sparse.map"), value)))
        records[key] = value
        at += size
    return records


def _map_in_header(pax: Pax) -> Map:
    numbers = [_decimal(part) for part in pax.get(b"GNU.sparse.map", b"").split(b",") if part]
    if len(numbers) % 2:
        raise _bad("a sparse file's map is wrong")
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _parts(data: bytes) -> Map:
    return [(_number(offset), _number(size)) for offset, size in _SPARSE.iter_unpack(data) if offset[0]]


def _holes(size: int) -> Iterator[bytes | memoryview]:
    while size > 0:
        yield memoryview(_ZEROS)[:size]
        size -= len(_ZEROS)


def _checks(block: bytes) -> bool:
    stored = _number(block[148:156])
    zeroed = block[:148] + b"        " + block[156:]
    if (zlib.adler32(zeroed) & 0xFFFF) == (stored + 1) % 65521:
        return True
    signed: int = sum(struct.unpack("512b", zeroed))
    return signed == stored


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _number(field: bytes) -> int:
    """Octal, or base-256 where the first bit is set (GNU)."""
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    try:
        return int(field.partition(b"\0")[0].strip() or b"0", 8)
    except ValueError as problem:
        raise _bad("a header holds no number where one must be") from problem


def _decimal(value: bytes) -> int:
    """A pax number; a fraction is rounded down."""
    whole, _, fraction = value.partition(b".")
    try:
        return int(whole) - (1 if whole.startswith(b"-") and fraction.strip(b"0") else 0)
    except ValueError as problem:
        raise _bad("a pax record holds no number where one must be") from problem


def _bad(what: str) -> Exception:
    return error("bad-archive", f"the archive is damaged or no tar: {what}")
