# SPDX-License-Identifier: GPL-3.0-or-later
"""Where everything lies on the card, and what lies over something else. Pure.

Sizes of the tables: UEFI 2.10, 5.3. FAT needs room for its clusters (Microsoft's fatgen103): mkfs.vfat decides
between 12, 16 and 32 bits by size; below 33 MiB a FAT32 has too few clusters for some firmware.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from farm.image.model import MEBIBYTE, SECTOR, Partition
from farm.spec.finding import Finding
from farm.spec.problem import FarmError
from farm.spec.quantity import parse_size

FIRST = 4 * MEBIBYTE
"""Where the first partition begins unless it is said: boot loaders end before that on every board known."""
ENTRY = 128
"""Bytes of one entry of a GPT."""
ENTRIES = 128
"""A GPT has room for that many unless it is said, and at most."""
LEAST = {"ext4": 2 * MEBIBYTE, "fat": MEBIBYTE, "raw": SECTOR}
"""The smallest file system of a kind that the tools make."""
MOST = {"ext4": 16 << 40, "fat": 2 << 40, "raw": 16 << 40}
"""The largest file system of a kind: 2**32 blocks of 4 KiB (Linux, Documentation/filesystems/ext4), 2**32 sectors."""
MOST_MBR = 2**32 * SECTOR
"""An MBR has 32 bits for a sector's number."""
NAMESPACE = uuid.UUID("8d8ac610-566d-4ef0-9c22-186b2a5ed793")

Path = tuple[str | int, ...]
Data = dict[str, Any]


def fixed_uuid(*words: str) -> str:
    """A UUID that depends on nothing but its words: images are the same each time."""
    return str(uuid.uuid5(NAMESPACE, "/".join(words)))


def table_end(data: Data) -> int:
    """The first byte behind the partition table at the card's beginning."""
    table = data.get("table") or {}
    if table.get("type", "mbr") == "mbr":
        return SECTOR
    return 2 * SECTOR + -(-min(int(table.get("length", ENTRIES)), ENTRIES) * ENTRY // SECTOR) * SECTOR


def backup_size(data: Data) -> int:
    """Bytes that the table's copy takes up at the card's end."""
    return 0 if (data.get("table") or {}).get("type", "mbr") == "mbr" else table_end(data) - SECTOR


@dataclasses.dataclass(slots=True)
class Layout:
    """The partitions placed, the size of the image, and what is wrong."""

    partitions: list[Partition]
    size: int
    findings: list[Finding]


def lay_out(name: str, data: Data) -> Layout:
    """Places the partitions of a board file that satisfies its schema. Never raises."""
    findings: list[Finding] = []
    total = size_at(data, ("size",), findings) if "size" in data else None
    placed: list[Partition] = []
    position = most = FIRST
    for index in range(len(data["partitions"])):
        part = _placed(name, index, data, position, total, findings)
        placed.append(part)
        position = -(-part.end // MEBIBYTE) * MEBIBYTE
        most = max(most, position)
    size = total if total is not None else most + (MEBIBYTE if backup_size(data) else 0)
    findings += _sizes(data, placed, size)
    findings += _overlaps(placed)
    return Layout(placed, size, findings)


def size_at(data: Data, path: Path, findings: list[Finding]) -> int | None:
    """Bytes; None when it is no size, which is told."""
    value: Any = data
    for step in path:
        value = value[step]
    try:
        return parse_size(value)
    except FarmError as failure:
        problem = failure.problems[0]
        findings.append(Finding(problem.code, problem.message, problem.hint, path))
        return None


def _placed(name: str, index: int, data: Data, position: int, total: int | None, findings: list[Finding]) -> Partition:
    """What is no size is told once: the least one, which is in nobody's way, stands in for it."""
    at: Path = ("partitions", index)
    given = data["partitions"][index]
    start = size_at(data, (*at, "start"), findings) if "start" in given else position
    start = position if start is None else start
    if given["size"] != "fill":
        size = size_at(data, (*at, "size"), findings)
    elif total is not None:
        size = max(0, total - backup_size(data) - start) // MEBIBYTE * MEBIBYTE
    else:
        size = None
        hint = "add size: to the file, or give this partition a size"
        findings.append(Finding("no-size", "the partition fills an image that has no size", hint, (*at, "size")))
    size = LEAST[given["type"]] if size is None else size
    label = str(given.get("label", given["name"]))
    unique = fixed_uuid(name, given["name"])
    return Partition(
        index + 1, given["name"], given["type"], start, size, label.upper() if given["type"] == "fat" else label,
        given.get("mount", ""), bool(given.get("bootable")), unique,
    )  # fmt: skip


def _sizes(data: Data, placed: Sequence[Partition], size: int) -> Iterator[Finding]:
    behind = table_end(data)
    most = MOST_MBR if backup_size(data) == 0 else MOST["raw"]
    if size > most:
        hint = "write table: {type: gpt}" if most == MOST_MBR else "an image is a file"
        at_size: Path = ("size",) if "size" in data else ("partitions",)
        yield Finding("image-too-large", f"the image has {shown(size)}, {shown(most)} is the most", hint, at_size)
    if size % SECTOR:
        yield Finding("bad-size", "the image is no whole number of sectors", "sectors have 512 bytes", ("size",))
    for index, part in enumerate(placed):
        at: Path = ("partitions", index)
        if part.start % SECTOR or part.size % SECTOR:
            hint = "sectors have 512 bytes; whole mebibytes are best"
            yield Finding("not-aligned", f"partition {part.name} does not begin and end at a sector", hint, at)
        if part.start < behind:
            hint = f"the partition table ends at byte {behind}"
            message = f"partition {part.name} begins inside the partition table"
            yield Finding("inside-table", message, hint, (*at, "start"))
        if part.size < LEAST[part.type]:
            hint = f"at least {shown(LEAST[part.type])}"
            if data["partitions"][index]["size"] == "fill":
                hint += "; make the image larger, or let the last partition alone fill it"
            yield Finding("too-small", f"partition {part.name} has {part.size} bytes", hint, (*at, "size"))
        if part.size > MOST[part.type]:
            hint = f"{shown(MOST[part.type])} at the most"
            yield Finding("partition-too-large", f"partition {part.name} has {shown(part.size)}", hint, (*at, "size"))
        if part.end > size - backup_size(data):
            hint = f"make the image at least {shown(part.end + backup_size(data))} large, or the partition smaller"
            message = f"partition {part.name} ends at {shown(part.end)}, behind the image's end at {shown(size)}"
            yield Finding("partition-outside", message, hint, (*at, "size"))


def _overlaps(placed: Sequence[Partition]) -> Iterator[Finding]:
    for index, part in enumerate(placed):
        for other in placed[:index]:
            if part.start < other.end and other.start < part.end:
                hint = f"{other.name} is at {shown(other.start)} to {shown(other.end)}"
                message = f"partition {part.name} at {shown(part.start)} to {shown(part.end)} overlaps {other.name}"
                key = "start" if part.start >= other.start else "size"
                yield Finding("partitions-overlap", message, hint, ("partitions", index, key))


def shown(size: int) -> str:
    """A number of bytes as people write it in board files: 8K, 4M, or plain."""
    for unit, letter in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")):
        if size and size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)
