# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads bmap files (bmap-tools, format 2.0): which blocks of an image have to be on the card."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

from farm.spec.problem import error

_SUM = re.compile(rb"(<BmapFileChecksum>\s*)([0-9a-f]{64})")
_MOST = 1 << 26


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """Bytes of the image, ``start`` to ``end``, and their sha256 (empty: not known)."""

    start: int
    end: int
    sha256: str


@dataclasses.dataclass(frozen=True, slots=True)
class BlockMap:
    """The size of an image in bytes, and the ranges to write, in order."""

    size: int
    ranges: tuple[Range, ...]

    @property
    def mapped(self) -> int:
        """How many bytes are to be written."""
        return sum(item.end - item.start for item in self.ranges)


def read_map(file: Path) -> BlockMap:
    """The map of a bmap file. FarmError ``bad-bmap`` for what is none or was changed."""
    content = file.read_bytes()
    if len(content) > _MOST or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise error("bad-bmap", f"{file} is no bmap file")
    try:
        top = ElementTree.fromstring(content)
        size, block = (int(top.findtext(name, "")) for name in ("ImageSize", "BlockSize"))
        ranges = tuple(_range(item, block, size) for item in top.iterfind("BlockMap/Range"))
    except (ElementTree.ParseError, ValueError) as failure:
        raise error("bad-bmap", f"{file} is no bmap file: {failure}") from failure
    found = _SUM.search(content)
    if not found or _own_sum(content, found) != found[2].decode():
        raise error("bad-bmap", f"{file} was changed: its own checksum is wrong")
    if any(b.start < a.end for a, b in itertools.pairwise(ranges)):
        raise error("bad-bmap", f"{file}: its ranges are not in order")
    return BlockMap(size, ranges)


def _own_sum(content: bytes, found: re.Match[bytes]) -> str:
    """The sum is over the file with zeros in the sum's own place."""
    return hashlib.sha256(content[: found.start(2)] + b"0" * 64 + content[found.end(2) :]).hexdigest()


def _range(item: ElementTree.Element, block: int, size: int) -> Range:
    first, _, last = (item.text or "").strip().partition("-")
    start, end = int(first) * block, min((int(last or first) + 1) * block, size)
    if not 0 <= start < end:
        raise ValueError(f"range {item.text} is outside of the image")
    return Range(start, end, item.get("chksum", ""))
