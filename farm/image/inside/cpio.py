# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's initial RAM disk: a newc archive (Linux, Documentation/driver-api/early-userspace/buffer-format.rst)."""

from __future__ import annotations

import gzip
import io
import stat


class Archive:
    """Entries in the order they are added; one time for all, owner 0:0."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._out = bytearray()
        self._count = 0

    def folder(self, name: str) -> None:
        """Adds a folder, mode 0755."""
        self._add(name, stat.S_IFDIR | 0o755)

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        """Adds a regular file."""
        self._add(name, stat.S_IFREG | mode, content)

    def device(self, name: str, major: int, minor: int) -> None:
        """Adds a character device, mode 0600."""
        self._add(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def _add(self, name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._count += 1
        data = name.encode() + b"\0"
        fields = (self._count, mode, 0, 0, 1, self._epoch, len(content), 0, 0, *device, len(data), 0)
        self._out += b"070701" + "".join(f"{field:08X}" for field in fields).encode() + data
        self._pad()
        self._out += content
        self._pad()

    def _pad(self) -> None:
        self._out += bytes(-len(self._out) % 4)

    def finish(self) -> bytes:
        """The archive, compressed with gzip, without a time in its header."""
        self._add("TRAILER!!!", 0)
        self._out += bytes(-len(self._out) % 512)
        out = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=out, mtime=0) as file:
            file.write(self._out)
        return out.getvalue()
