# SPDX-License-Identifier: GPL-3.0-or-later
"""xz on all cores: one stream of blocks of a fixed size, so the bytes do not depend on the number of cores.

Source of the format: "The .xz File Format" 1.2.1 (tukaani.org). liblzma compresses each block as a stream of its own,
in a thread; only the block's data are taken from it. Headers and index are written here, with both sizes in each
block's header, as ``xz -T`` does: so the result can be decompressed on several cores, too.
"""

from __future__ import annotations

import functools
import lzma
import os
import struct
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

_FLAGS = bytes((0, lzma.CHECK_CRC64))
_HEADER = b"\xfd7zXZ\0" + _FLAGS + struct.pack("<I", zlib.crc32(_FLAGS))
_END = 12
"""Bytes of a stream's header, and of its footer."""

_CHECK = 8
_LEAST_BLOCK = 1 << 20


class XzCompressor:
    """Takes pieces, gives compressed pieces. ``level`` is a preset of xz, 0 to 9."""

    def __init__(self, level: int = 6) -> None:
        self._dictionary = dictionary_size(level)
        self._block = max(3 * self._dictionary, _LEAST_BLOCK)
        self._filters = [{"id": lzma.FILTER_LZMA2, "preset": level}]
        self._parts: list[bytes] = []
        self._filled = 0
        self._index: list[tuple[int, int]] = []
        self._workers = os.cpu_count() or 1
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[tuple[bytes, int, int]]] = deque()
        self._begun = False

    def compress(self, data: bytes, /) -> bytes:
        """What can be given now."""
        out = self._begin()
        self._parts.append(data)
        self._filled += len(data)
        while self._filled >= self._block:
            whole = b"".join(self._parts)
            self._submit(whole[: self._block])
            self._parts, self._filled = [whole[self._block :]], len(whole) - self._block
        while len(self._waiting) > self._workers:
            out += self._next()
        return out

    def flush(self) -> bytes:
        """The rest."""
        out = [self._begin()]
        if self._filled:
            self._submit(b"".join(self._parts))
        while self._waiting:
            out.append(self._next())
        if self._pool:
            self._pool.shutdown()
        index = _index(self._index)
        footer = struct.pack("<I", len(index) // 4 - 1) + _FLAGS
        return b"".join(out) + index + struct.pack("<I", zlib.crc32(footer)) + footer + b"YZ"

    def _begin(self) -> bytes:
        begun, self._begun = self._begun, True
        return b"" if begun else _HEADER

    def _submit(self, data: bytes) -> None:
        self._pool = self._pool or ThreadPoolExecutor(self._workers, "xz")
        self._waiting.append(self._pool.submit(_block, data, self._filters, self._dictionary))

    def _next(self) -> bytes:
        block, unpadded, size = self._waiting.popleft().result()
        self._index.append((unpadded, size))
        return block


@functools.cache
def dictionary_size(level: int) -> int:
    """Bytes of the preset's dictionary (xz(1), "-0 ... -9")."""
    return 1 << (18, 20, 21, 22, 22, 23, 23, 24, 25, 26)[level]


def _block(data: bytes, filters: list[dict[str, int]], dictionary: int) -> tuple[bytes, int, int]:
    """A block, its unpadded size, and how many bytes are in it."""
    stream = lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC64, filters=filters)
    index = (struct.unpack("<I", stream[-8:-4])[0] + 1) * 4
    block = stream[_END : -_END - index]
    header = (block[0] + 1) * 4
    padded = len(block) - header - _CHECK
    packed = _packed_size(stream[-_END - index : -_END]) - header - _CHECK
    head = _block_header(packed, len(data), dictionary)
    return head + block[header : header + padded] + block[-_CHECK:], len(head) + packed + _CHECK, len(data)


def _packed_size(index: bytes) -> int:
    """The unpadded size of the only block of an index."""
    value = shift = 0
    for byte in index[2:]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value


def _block_header(packed: int, size: int, dictionary: int) -> bytes:
    """Both sizes, and the one filter: LZMA2 with its dictionary."""
    bits = 2 * (dictionary.bit_length() - 1) - 24
    body = b"\xc0" + _number(packed) + _number(size) + bytes((0x21, 1, bits))
    length = (len(body) + 1 + 3) // 4 * 4
    head = bytes((length // 4,)) + body.ljust(length - 1, b"\0")
    return head + struct.pack("<I", zlib.crc32(head))


def _index(records: list[tuple[int, int]]) -> bytes:
    body = b"\0" + _number(len(records)) + b"".join(_number(a) + _number(b) for a, b in records)
    body += bytes(-len(body) % 4)
    return body + struct.pack("<I", zlib.crc32(body))


def _number(value: int) -> bytes:
    """A multibyte integer: seven bits a byte, the lowest first."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
