# SPDX-License-Identifier: GPL-3.0-or-later
"""Compression of packages: the same bytes for the same input, whatever the number of cores or the timing."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from typing import Literal, Protocol

from farm.store.xzblocks import XzCompressor

Compression = Literal["none", "gzip", "zstd", "xz"]

_LEVEL = 3
_JOB = 4 << 20
_SMALL = 1 << 20


class Compressor(Protocol):
    """Takes pieces, gives compressed pieces."""

    def compress(self, data: bytes, /) -> bytes:
        """What can be given now."""

    def flush(self) -> bytes:
        """The rest."""


class _Plain:
    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class _Zstd:
    """zstd's multi-threaded format, also for small input: its bytes depend on the job size, not on the workers.

    Workers are started when the first piece has shown whether there is work for them.
    """

    def __init__(self, level: int) -> None:
        self._level = level
        self._inner: Compressor | None = None

    def compress(self, data: bytes, /) -> bytes:
        if self._inner is None:
            self._inner = _zstd(self._level, 1 if len(data) < _SMALL else os.cpu_count() or 1)
        return self._inner.compress(data)

    def flush(self) -> bytes:
        return (self._inner or _zstd(self._level, 1)).flush()


def compressor(kind: Compression, level: int | None = None) -> Compressor:
    """A compressor for one stream. gzip carries no time and no name (RFC 1952). ``level`` None: the usual one."""
    makers: dict[Compression, Callable[[], Compressor]] = {
        "none": _Plain,
        "gzip": lambda: zlib.compressobj(6 if level is None else level, zlib.DEFLATED, 31),
        "zstd": lambda: _Zstd(_LEVEL if level is None else level),
        "xz": lambda: XzCompressor(6 if level is None else level),
    }
    return makers[kind]()


def _zstd(level: int, workers: int) -> Compressor:
    import zstandard

    settings = zstandard.ZstdCompressionParameters.from_level(
        level, threads=workers, job_size=_JOB, write_checksum=True, write_content_size=False
    )
    return zstandard.ZstdCompressor(compression_params=settings).compressobj()
