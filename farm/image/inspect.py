# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in an image file: its table, partitions, file systems and boot loaders, read from its bytes alone."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import struct
import uuid
from pathlib import Path
from typing import Any

from farm.image.device import check_kind
from farm.image.egon import look, plain
from farm.image.fat import Fat
from farm.image.inside import table
from farm.spec.problem import FarmError, error
from farm.spec.scan import printable

LOADER_OFFSETS = (8 << 10, 40 << 10, 128 << 10, 256 << 10)
"""Where boot loaders of Allwinner's chips are looked for."""
_LARGEST_BLOCK = 6
"""64 KiB, as a power of two KiB."""
_LARGEST = 1 << 62
"""Bytes: where a partition may end at most, so that the kernel's offsets (63 bits) can say it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """Something on the card. ``kind``: table, loader, fat, ext4 or raw. Offsets and sizes in bytes."""

    kind: str
    start: int
    size: int
    title: str
    details: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Inspected:
    """An image: the kind of its table, its size, how much of it is on disk, and its pieces in the card's order."""

    file: Path
    size: int
    on_disk: int
    table: str
    pieces: tuple[Piece, ...]

    @property
    def title(self) -> str:
        """The file's name, without what would trouble a terminal or XML."""
        return plain(self.file.name)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**dataclasses.asdict(self), "file": printable(str(self.file))}


def inspect(file: Path) -> Inspected:
    """Looks at an image. FarmError ``no-image`` for what has no partition table, ``bad-table`` for a broken one."""
    check_kind(file)
    with open(file, "rb") as image:
        number = image.fileno()
        size = os.lseek(number, 0, os.SEEK_END)
        kind, parts = read_table(file, number)
        if kind == "none" or _is_fat(number):
            hint = "is it compressed? use zstd -d or xz -d first" if kind == "none" else "it is a FAT by itself"
            raise error("no-image", f"{file} has no partition table", hint=hint)
        pieces = [Piece("table", 0, _table_size(number, kind), kind.upper())]
        pieces += _loaders(number, min((part["start"] for part in parts), default=size), pieces[0].size)
        pieces += [_partition(number, part) for part in parts]
        blocks = os.fstat(number).st_blocks * 512
    return Inspected(file, size, blocks, kind, tuple(sorted(pieces, key=lambda piece: piece.start)))


def read_table(file: Path, image: int, header: int = 1) -> tuple[str, list[dict[str, Any]]]:
    """Kind and partitions of the table; with the sector of a GPT's other ``header``, of its copy.

    FarmError ``bad-table``.
    """
    head = os.pread(image, table.SECTOR, 0)

    def read(sector: int, count: int) -> bytes:
        return os.pread(image, count * table.SECTOR, (header if sector == 1 else sector) * table.SECTOR)

    try:
        kind, parts = table.parse(head, read)
    except (ValueError, OverflowError, struct.error) as failure:
        said = failure if isinstance(failure, ValueError) else "it is cut off, or its numbers are impossible"
        raise error("bad-table", f"{file}: {said}") from failure
    for part in parts:
        if part["size"] <= 0 or part["start"] + part["size"] > _LARGEST:
            raise error("bad-table", f"{file}: partition {part['number']} has an impossible place")
    return kind, parts


def _is_fat(image: int) -> bool:
    """Whether a file system begins where a table should: both end their first sector alike."""
    if os.pread(image, 1, 0) not in (b"\xeb", b"\xe9"):
        return False
    with contextlib.suppress(FarmError):
        Fat(image, 0)
        return True
    return False


def _table_size(image: int, kind: str) -> int:
    if kind == "mbr":
        return table.SECTOR
    count, each = struct.unpack_from("<II", os.pread(image, 512, 512), 80)
    return 2 * table.SECTOR + -(-int(count * each) // table.SECTOR) * table.SECTOR


def _loaders(image: int, end: int, begin: int) -> list[Piece]:
    found = []
    for offset in LOADER_OFFSETS:
        loader = look(image, offset) if begin <= offset < end else None
        if loader and loader.kind != "nothing":
            details = (loader.problem,) if loader.problem else ()
            size = loader.size + (64 if loader.kind == "uimage" else 0)
            found.append(Piece("loader", offset, size, str(loader), details))
    return found


def _partition(image: int, part: dict[str, Any]) -> Piece:
    start, size = part["start"], part["size"]
    title = f"partition {part['number']}" + (f" {part['name']!r}" if part["name"] else "")
    mark = ("bootable",) if part["bootable"] else ()
    if os.pread(image, 2, start + 1080) == b"\x53\xef":
        return Piece("ext4", start, size, title, (*ext4_facts(image, start), *mark))
    try:
        fat = Fat(image, start)
        files = list(fat.files())
    except (FarmError, struct.error):
        return Piece("raw", start, size, title, (f"type {part['type']}", *mark))
    facts = (f"FAT{fat.bits} {fat.label!r}", f"{len(files)} files, {sum(f.size for f in files) >> 10} KiB")
    return Piece("fat", start, size, title, (*facts, *mark))


def ext4_facts(image: int, start: int) -> tuple[str, ...]:
    """Label, UUID and fullness of an ext4 (Linux, Documentation/filesystems/ext4, super block)."""
    data = os.pread(image, 1024, start + 1024)
    inodes, blocks, _, free, free_inodes, _, log = struct.unpack_from("<7I", data)
    impossible = not inodes or not blocks or free > blocks or free_inodes > inodes
    if len(data) < 1024 or log > _LARGEST_BLOCK or impossible:
        return ("ext4", "its super block is damaged")
    block = 1024 << log
    label = data[120:136].rstrip(b"\0").decode("utf-8", "replace")
    return (
        f"ext4 {label!r}",
        f"UUID {uuid.UUID(bytes=data[104:120])}",
        f"{(blocks - free) * block >> 20} of {blocks * block >> 20} MiB used",
        f"{inodes - free_inodes} of {inodes} inodes used",
    )
