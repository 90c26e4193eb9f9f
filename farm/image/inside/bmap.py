# SPDX-License-Identifier: GPL-3.0-or-later
"""Which blocks of an image have to be written to a card, and the bmap file that says so (bmap-tools, format 2.0).

A block is left out only when nothing refers to it: it lies in no partition, or its file system calls it free, and it
is zero. Blocks of zeros that are in use (a journal, a table of inodes) are written: the card may hold anything else.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator

from farm.image.inside.holes import BLOCK, parts

_CHUNK = 1 << 20


def ext4_used(image: int, start: int) -> Iterator[tuple[int, int]]:
    """Ranges (offset, length in bytes, from the image's beginning) that an ext4 calls used.

    Format: Linux, Documentation/filesystems/ext4 (super block, group descriptors, block bitmaps).
    """
    super_block = os.pread(image, 1024, start + 1024)
    low, first, log, per_group = (struct.unpack_from("<I", super_block, at)[0] for at in (4, 20, 24, 32))
    incompat, high = struct.unpack_from("<I", super_block, 96)[0], struct.unpack_from("<I", super_block, 336)[0]
    wide = bool(incompat & 0x80)
    count, block = low | (high << 32 if wide else 0), 1024 << log
    each = struct.unpack_from("<H", super_block, 254)[0] if wide else 32
    groups = -(-(count - first) // per_group)
    table = os.pread(image, groups * each, start + (first + 1) * block)
    copy = 1 + -(-groups * each // block) + int(struct.unpack_from("<H", super_block, 206)[0])
    for group in range(groups):
        yield from _used_of_group(image, start, table[group * each : (group + 1) * each], group,
                                  (count, first, block, per_group), wide, copy)  # fmt: skip


def _used_of_group(
    image: int, start: int, descriptor: bytes, group: int, sizes: tuple[int, int, int, int], wide: bool, copy: int
) -> Iterator[tuple[int, int]]:
    count, first, block, per_group = sizes
    begin = first + group * per_group
    blocks = min(per_group, count - begin)
    flags = struct.unpack_from("<H", descriptor, 18)[0]
    at = struct.unpack_from("<I", descriptor, 0)[0]
    at |= struct.unpack_from("<I", descriptor, 32)[0] << 32 if wide else 0
    if flags & 2:  # BLOCK_UNINIT: there is no bitmap; used is only a copy of the super block and what follows it
        yield start + begin * block, copy * block if _has_copy(group) else 0
        return
    bitmap = int.from_bytes(os.pread(image, block, start + at * block), "little")
    for run, length in _runs(bitmap, blocks):
        yield start + (begin + run) * block, length * block


def _has_copy(group: int) -> bool:
    """sparse_super: group 0, 1, and the powers of 3, 5 and 7."""
    if group < 2:
        return True
    for base in (3, 5, 7):
        power = base
        while power < group:
            power *= base
        if power == group:
            return True
    return False


def _runs(bitmap: int, bits: int) -> Iterator[tuple[int, int]]:
    """Runs of ones: (first, how many)."""
    bitmap &= (1 << bits) - 1
    at = 0
    while bitmap:
        skip = (bitmap & -bitmap).bit_length() - 1
        bitmap >>= skip
        ones = (~bitmap & -~bitmap).bit_length() - 1
        yield at + skip, ones
        at += skip + ones
        bitmap >>= ones


def fat_used(image: int, start: int, size: int) -> Iterator[tuple[int, int]]:
    """Ranges that a FAT calls used: boot sectors, tables, root folder, and the clusters that are taken."""
    boot = os.pread(image, 512, start)
    sector, cluster, reserved, copies, entries = struct.unpack_from("<HBHBH", boot, 11)
    short = struct.unpack_from("<H", boot, 22)[0]
    length = short or struct.unpack_from("<I", boot, 36)[0]
    data = reserved + copies * length + -(-entries * 32 // sector)
    yield start, data * sector
    table = os.pread(image, length * sector, start + reserved * sector)
    count = (size // sector - data) // cluster + 2
    for number in _fat_clusters(table, count, bool(short)):
        yield start + (data + (number - 2) * cluster) * sector, cluster * sector


def _fat_clusters(table: bytes, count: int, short: bool) -> Iterator[int]:
    """Clusters that are taken. 12 bits below 4085 clusters, 16 below 65525 (Microsoft's fatgen103)."""
    if short and count - 2 < 4085:
        values = [int.from_bytes(table[n * 3 // 2 : n * 3 // 2 + 2], "little") for n in range(count)]
        values = [value >> 4 if n & 1 else value & 0xFFF for n, value in enumerate(values)]
    elif short:
        values = list(struct.unpack_from(f"<{min(count, len(table) // 2)}H", table))
    else:
        values = [v & 0x0FFFFFFF for v in struct.unpack_from(f"<{min(count, len(table) // 4)}I", table)]
    return (number for number, value in enumerate(values) if number >= 2 and value)


def mapped(image: int, size: int, used: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Blocks to write, as (first, last), both included: those used, and those that are not all zero.

    Memory grows with the number of ranges, not with the image.
    """
    found: list[tuple[int, int]] = []
    for offset, length in used:
        _add(found, offset // BLOCK, -(-min(offset + length, size) // BLOCK))
    for at, data in parts(image, size):
        for begin in range(0, len(data), BLOCK):
            if data[begin : begin + BLOCK].strip(b"\0"):
                _add(found, (at + begin) // BLOCK, (at + begin) // BLOCK + 1)
    joined: list[tuple[int, int]] = []
    for first, end in sorted(found):
        _add(joined, first, end)
    return [(first, end - 1) for first, end in joined]


def _add(ranges: list[tuple[int, int]], first: int, end: int) -> None:
    """Adds a range of blocks, ``end`` not included; one that follows the last, or overlaps it, becomes part of it."""
    if end <= first:
        return
    if ranges and ranges[-1][0] <= first <= ranges[-1][1]:
        ranges[-1] = (ranges[-1][0], max(ranges[-1][1], end))
    else:
        ranges.append((first, end))


def document(image: int, size: int, ranges: list[tuple[int, int]]) -> bytes:
    """The bmap file: XML with a sha256 of each range and of itself."""
    count = sum(last - first + 1 for first, last in ranges)
    lines = [
        '<?xml version="1.0" ?>',
        '<bmap version="2.0">',
        f"    <ImageSize> {size} </ImageSize>",
        f"    <BlockSize> {BLOCK} </BlockSize>",
        f"    <BlocksCount> {-(-size // BLOCK)} </BlocksCount>",
        f"    <MappedBlocksCount> {count} </MappedBlocksCount>",
        "    <ChecksumType> sha256 </ChecksumType>",
        f"    <BmapFileChecksum> {'0' * 64} </BmapFileChecksum>",
        "    <BlockMap>",
        *(f'        <Range chksum="{_sum(image, size, *r)}">{_range(*r)}</Range>' for r in ranges),
        "    </BlockMap>",
        "</bmap>",
        "",
    ]
    text = "\n".join(lines).encode()
    return text.replace(b"0" * 64, hashlib.sha256(text).hexdigest().encode(), 1)


def _range(first: int, last: int) -> str:
    return f" {first} " if first == last else f" {first}-{last} "


def _sum(image: int, size: int, first: int, last: int) -> str:
    digest = hashlib.sha256()
    at, end = first * BLOCK, min((last + 1) * BLOCK, size)
    while at < end:
        data = os.pread(image, min(_CHUNK, end - at), at)
        digest.update(data)
        at += len(data)
    return digest.hexdigest()
