# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens archives: finds out the compression, and undoes it in a thread beside the reader."""

from __future__ import annotations

import contextlib
import io
import queue
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from farm.spec.problem import error

_CHUNK = 1 << 20
_AHEAD = 8
_HEAD = 8


class Readable(Protocol):
    """What can be read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


@contextlib.contextmanager
def opened(archive: BinaryIO | Path) -> Iterator[tuple[bytes, Readable]]:
    """The first bytes of an archive, and the archive from its beginning."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(archive, "rb")) if isinstance(archive, Path) else archive
        if isinstance(file, io.BufferedReader) and file.seekable():
            start = file.tell()
            head = file.read(_HEAD)
            file.seek(start)
            yield head, file
        else:
            head = _exactly(file, _HEAD)
            yield head, _Rejoined(head, file)


def decompressed(head: bytes, stream: Readable) -> Readable:
    """The content of ``stream``, which begins with ``head``, without its compression."""
    for magic, opener in _OPENERS:
        if head.startswith(magic):
            return opener(stream)
    return stream


@contextlib.contextmanager
def read_ahead(stream: Readable) -> Iterator[Iterator[bytes]]:
    """Pieces of ``stream``, read by a thread of its own. FarmError ``bad-archive`` when it cannot be decompressed."""
    pieces: queue.Queue[bytes | BaseException] = queue.Queue(_AHEAD)
    stop = threading.Event()
    thread = threading.Thread(target=_read, args=(stream, pieces, stop), name="read-ahead", daemon=True)
    thread.start()
    try:
        yield _pieces(pieces)
    finally:
        stop.set()
        while thread.is_alive():
            with contextlib.suppress(queue.Empty):
                pieces.get(timeout=0.01)
        thread.join()


def deb_data(stream: Readable) -> tuple[bytes, Readable]:
    """First bytes and stream of the data archive, still compressed, of a Debian package (deb(5), ar(5))."""
    _exactly(stream, 8)
    while len(header := _exactly(stream, 60)) == 60:
        size = int(header[48:58])
        if header.startswith(b"data.tar"):
            head = _exactly(stream, min(_HEAD, size))
            return head, _Rejoined(head, _Limited(stream, size - len(head)))
        _skip(stream, size + size % 2)
    raise error("bad-archive", "a Debian package without data.tar")


class _Rejoined:
    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head = head
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._rest.read(size)


class _Limited:
    def __init__(self, stream: Readable, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(min(size, self._left) if size >= 0 else self._left)
        self._left -= len(data)
        return data


def _read(stream: Readable, pieces: queue.Queue[bytes | BaseException], stop: threading.Event) -> None:
    try:
        while not stop.is_set() and (data := stream.read(_CHUNK)):
            pieces.put(data)
        pieces.put(b"")
    except BaseException as problem:  # noqa: BLE001 - raised again by the reader's side
        pieces.put(problem)


def _pieces(pieces: queue.Queue[bytes | BaseException]) -> Iterator[bytes]:
    while piece := pieces.get():
        if isinstance(piece, BaseException):
            raise error("bad-archive", f"the archive cannot be decompressed: {piece}") from piece
        yield piece


def _exactly(stream: Readable, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data


def _skip(stream: Readable, size: int) -> None:
    while size and (data := stream.read(min(size, _CHUNK))):
        size -= len(data)


class _File(io.RawIOBase):
    """What the standard library's decompressors take as a file."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Gzip:
    """gzip with the zlib module: several times the speed of the gzip module's file."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._inflate = zlib.decompressobj(31)
        self._input = b""

    def read(self, size: int = -1, /) -> bytes:
        while True:
            data = self._input or self._stream.read(_CHUNK)
            if not data:
                if not self._inflate.eof:
                    raise EOFError("it ends too early")
                return b""
            if self._inflate.eof:
                if not data.strip(b"\0"):
                    self._input = b""
                    continue
                self._inflate = zlib.decompressobj(31)
            out = self._inflate.decompress(data, size if size > 0 else 0)
            self._input = self._inflate.unconsumed_tail or self._inflate.unused_data
            if out:
                return out


def _bz2(stream: Readable) -> Readable:
    import bz2

    return bz2.BZ2File(io.BufferedReader(_File(stream), _CHUNK))


def _xz(stream: Readable) -> Readable:
    import lzma

    return lzma.LZMAFile(io.BufferedReader(_File(stream), _CHUNK))


def _zstd(stream: Readable) -> Readable:
    import zstandard

    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 31)
    return unpacker.stream_reader(cast(BinaryIO, stream), read_size=_CHUNK, read_across_frames=True)


_OPENERS: tuple[tuple[bytes, Callable[[Readable], Readable]], ...] = (
    (b"\x1f\x8b", _Gzip),
    (b"BZh", _bz2),
    (b"\xfd7zXZ\0", _xz),
    (b"\x5d\0\0", _xz),
    (b"\x28\xb5\x2f\xfd", _zstd),
)
