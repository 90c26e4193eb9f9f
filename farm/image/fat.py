# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads FAT file systems inside images. Format: Microsoft's "FAT: General Overview of On-Disk Format" (fatgen103)."""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Iterator

from farm.spec.problem import error

_FOLDER, _LABEL, _LONG = 0x10, 0x08, 0x0F
_MOST = 1 << 30
_LONGEST = 260
"""Characters of a path (Microsoft's fatgen103)."""


@dataclasses.dataclass(frozen=True, slots=True)
class FatFile:
    """A file: its path, its size in bytes, its first cluster."""

    path: str
    size: int
    cluster: int


class Fat:
    """A FAT that begins at byte ``start`` of an open image. FarmError ``bad-fat`` for what is none."""

    def __init__(self, image: int, start: int) -> None:
        self._image = image
        self._start = start
        self._end = os.lseek(image, 0, os.SEEK_END)
        boot = os.pread(image, 512, start)
        if len(boot) < 512 or boot[510:512] != b"\x55\xaa":
            raise error("bad-fat", "there is no FAT boot sector")
        self._sector, self._per_cluster, reserved, copies, self._entries = struct.unpack_from("<HBHBH", boot, 11)
        if self._sector not in (512, 1024, 2048, 4096) or self._per_cluster.bit_count() != 1 or not copies:
            raise error("bad-fat", "the FAT's boot sector makes no sense")
        short = struct.unpack_from("<H", boot, 22)[0]
        length = short or struct.unpack_from("<I", boot, 36)[0]
        total = struct.unpack_from("<H", boot, 19)[0] or struct.unpack_from("<I", boot, 32)[0]
        self._root_at = reserved + copies * length
        self._data_at = self._root_at + -(-self._entries * 32 // self._sector)
        self.clusters = (total - self._data_at) // self._per_cluster
        if self.clusters < 1:
            raise error("bad-fat", "the FAT has no clusters")
        self.bits = 12 if self.clusters < 4085 else 16 if self.clusters < 65525 else 32
        self._table = self._sectors(reserved, length)
        self._root = 0 if short else struct.unpack_from("<I", boot, 44)[0]
        self.label = boot[43 if short else 71 :][:11].decode("ascii", "replace").rstrip()

    def files(self) -> Iterator[FatFile]:
        """All files, in the order of the folders' entries. A folder that lies in itself is entered once."""
        content = self._chain(self._root) if self._root else self._sectors(self._root_at, self._data_at - self._root_at)
        yield from self._folder(content, "", {self._root})

    def read(self, path: str) -> bytes:
        """A file's content. FarmError ``missing-file``."""
        for file in self.files():
            if file.path.lower() == path.strip("/").lower():
                return self._chain(file.cluster)[: file.size] if file.size else b""
        raise error("missing-file", f"the FAT has no file {path}")

    def _folder(self, content: bytes, prefix: str, entered: set[int]) -> Iterator[FatFile]:
        long: dict[int, str] = {}
        for at in range(0, len(content), 32):
            entry = content[at : at + 32]
            if entry[0] == 0:
                return
            if entry[0] == 0xE5:
                long = {}
            elif entry[11] == _LONG:
                text = entry[1:11] + entry[14:26] + entry[28:32]
                long[entry[0] & 0x1F] = text.decode("utf-16-le", "replace").split("\0")[0].rstrip("\uffff")
            elif entry[11] & _LABEL:
                long = {}
            else:
                name = "".join(long[n] for n in sorted(long)) or _short_name(entry)
                long = {}
                high, low, size = struct.unpack_from("<H", entry, 20)[0], *struct.unpack_from("<HI", entry, 26)
                cluster = high << 16 | low
                if entry[11] & _FOLDER:
                    if name not in (".", "..") and cluster not in entered and len(prefix) < _LONGEST:
                        entered.add(cluster)
                        yield from self._folder(self._chain(cluster), f"{prefix}{name}/", entered)
                else:
                    yield FatFile(prefix + name, size, cluster)

    def _chain(self, cluster: int) -> bytes:
        parts: list[bytes] = []
        most = min(self.clusters, _MOST // (self._per_cluster * self._sector))
        while 2 <= cluster < self.clusters + 2 and len(parts) <= most:
            parts.append(self._sectors(self._data_at + (cluster - 2) * self._per_cluster, self._per_cluster))
            cluster = self._next(cluster)
        return b"".join(parts)

    def _next(self, cluster: int) -> int:
        if self.bits == 12:
            at = cluster * 3 // 2
            value = int.from_bytes(self._table[at : at + 2], "little")
            return value >> 4 if cluster & 1 else value & 0xFFF
        size = self.bits // 8
        return int.from_bytes(self._table[cluster * size : (cluster + 1) * size], "little") & 0x0FFFFFFF

    def _sectors(self, first: int, count: int) -> bytes:
        """What is there of these sectors: a size in a damaged FAT asks for no more memory than the image has bytes."""
        at = self._start + first * self._sector
        return os.pread(self._image, min(count * self._sector, max(0, self._end - at), _MOST), at)


def _short_name(entry: bytes) -> str:
    """An 8.3 name; bits 3 and 4 of byte 12 say that base or extension are in lower case."""
    base, end = entry[:8].decode("ascii", "replace").rstrip(), entry[8:11].decode("ascii", "replace").rstrip()
    base = base.lower() if entry[12] & 0x08 else base
    end = end.lower() if entry[12] & 0x10 else end
    return f"{base}.{end}" if end else base
