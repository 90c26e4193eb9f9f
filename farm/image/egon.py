# SPDX-License-Identifier: GPL-3.0-or-later
"""Boot loaders recognised on a card: Allwinner's eGON header, FIT, and U-Boot's legacy image.

Formats: linux-sunxi.org/EGON (header of the SPL); U-Boot, include/image.h; Devicetree Specification 0.4 (FIT).
"""

from __future__ import annotations

import dataclasses
import os
import struct
import zlib

_EGON = b"eGON.BT0"
_STAMP = 0x5F0A6C39
_FIT, _LEGACY = 0xD00DFEED, 0x27051956
_MOST = 1 << 24


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What is at an offset. ``kind``: egon, fit, uimage or nothing; ``size`` in bytes; ``problem`` empty when whole."""

    kind: str
    size: int = 0
    name: str = ""
    problem: str = ""

    def __str__(self) -> str:
        text = {"egon": "eGON", "fit": "FIT", "uimage": "legacy image", "nothing": "nothing"}[self.kind]
        size = f" of {self.size} bytes" if self.size else ""
        return f"{text}{size}{f' for {self.name}' if self.name else ''}{f': {self.problem}' if self.problem else ''}"


def plain(text: str) -> str:
    """A text on one line: what would trouble a terminal or XML becomes a question mark."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _name(data: bytes) -> str:
    """A name in a loader, up to its first NUL."""
    return plain(data.partition(b"\0")[0].decode("ascii", "replace"))


def look_at(content: bytes) -> Found:
    """The same for a legacy image that is a file."""
    if len(content) < 64 or content[:4] != struct.pack(">I", _LEGACY):
        return Found("nothing")
    return _legacy(content[:64], content[64:])


def look(image: int, offset: int) -> Found:
    """What boot loader begins at an offset of an open image."""
    head = os.pread(image, 96, offset)
    if len(head) == 96 and head[4:12] == _EGON:
        return _egon(image, offset, head)
    if len(head) < 64:
        return Found("nothing")
    magic = struct.unpack_from(">I", head)[0]
    if magic == _FIT:
        return _fit(image, offset, struct.unpack_from(">I", head, 4)[0])
    if magic == _LEGACY:
        size = struct.unpack_from(">I", head, 12)[0]
        return _legacy(head[:64], os.pread(image, min(size, _MOST), offset + 64))
    return Found("nothing")


def _egon(image: int, offset: int, head: bytes) -> Found:
    """The checksum is the sum of all words, with a stamp in its own place; the device tree's name is pointed to."""
    checksum, length = struct.unpack_from("<II", head, 12)
    if length % 4 or not 96 <= length <= _MOST:
        return Found("egon", length, problem="its length is impossible")
    data = os.pread(image, length, offset)
    if len(data) < length:
        return Found("egon", length, problem="it is cut off")
    total = (sum(struct.unpack(f"<{length // 4}I", data)) - checksum + _STAMP) & 0xFFFFFFFF
    at = struct.unpack_from("<I", head, 32)[0]
    name = _name(data[at:]) if 32 < at < length else ""
    return Found("egon", length, name, "" if total == checksum else "its checksum is wrong")


def _fit(image: int, offset: int, size: int) -> Found:
    """Counts the images inside; data may lie behind the tree (``data-size``)."""
    from farm.image.boot.devicetree import read_tree
    from farm.spec.problem import FarmError

    if not 40 <= size <= _MOST:
        return Found("fit", size, problem="its length is impossible")
    try:
        root, _ = read_tree(os.pread(image, size, offset))
    except FarmError as failure:
        return Found("fit", size, problem=failure.problems[0].message)
    images = root.find("/images")
    if not images or not images.children or not root.find("/configurations"):
        return Found("fit", size, problem="it holds no images or configurations")
    return Found("fit", size, ", ".join(_name(name.encode()) for name in images.children))


def _legacy(head: bytes, content: bytes) -> Found:
    crc, size, data_crc = (struct.unpack_from(">I", head, at)[0] for at in (4, 12, 24))
    name = _name(head[32:64])
    if zlib.crc32(head[:4] + bytes(4) + head[8:]) != crc:
        return Found("uimage", size, name, "its header's checksum is wrong")
    return Found("uimage", size, name, "" if zlib.crc32(content[:size]) == data_crc else "its checksum is wrong")
