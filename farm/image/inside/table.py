# SPDX-License-Identifier: GPL-3.0-or-later
"""Partition tables as bytes: MBR and GPT (UEFI 2.10, 5.2 and 5.3), the same each time."""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

SECTOR = 512
ENTRY = 128
_HEADS, _SECTORS = 255, 63
_MBR_TYPES = {"fat": 0x0C, "ext4": 0x83, "raw": 0xDA}
_LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
_GPT_TYPES = {"fat": uuid.UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"), "ext4": _LINUX, "raw": _LINUX}
_LEGACY_BOOTABLE = 1 << 2
"""Attribute that U-Boot looks for (UEFI 2.10, table 5.8)."""


class Entry(NamedTuple):
    """One partition; start and size in sectors. ``uuid`` is the partition's own, for a GPT."""

    type: str
    start: int
    size: int
    name: str
    bootable: bool
    uuid: str


def mbr(entries: Sequence[Entry], disk_id: int) -> bytes:
    """The first sector of a card."""
    sector = bytearray(SECTOR)
    struct.pack_into("<I", sector, 440, disk_id)
    for index, entry in enumerate(entries):
        flag = 0x80 if entry.bootable else 0
        record = _record(flag, _MBR_TYPES[entry.type], entry.start, entry.size)
        sector[446 + 16 * index : 462 + 16 * index] = record
    sector[510:512] = b"\x55\xaa"
    return bytes(sector)


def gpt(entries: Sequence[Entry], disk_id: str, sectors: int, length: int) -> list[tuple[int, bytes]]:
    """All parts of a GPT with room for ``length`` entries: (first sector, bytes)."""
    table = b"".join(_entry(entry) for entry in entries).ljust(length * ENTRY, b"\0")
    room = -(-len(table) // SECTOR)
    usable = (2 + room, sectors - room - 2)
    crc = zlib.crc32(table)
    disk = uuid.UUID(disk_id).bytes_le
    backup = sectors - 1 - room

    def header(own: int, other: int, first: int) -> bytes:
        fields = (b"EFI PART", 0x10000, 92, 0, 0, own, other, *usable, disk, first, length, ENTRY, crc)
        text = struct.pack("<8sIIIIQQQQ16sQIII", *fields)
        return text[:16] + struct.pack("<I", zlib.crc32(text)) + text[20:]

    protective = bytearray(SECTOR)
    protective[446:462] = _record(0, 0xEE, 1, min(sectors - 1, 0xFFFFFFFF))
    protective[510:512] = b"\x55\xaa"
    return [
        (0, bytes(protective)),
        (1, header(1, sectors - 1, 2)),
        (2, table),
        (backup, table),
        (sectors - 1, header(sectors - 1, 1, backup)),
    ]


def _record(flag: int, kind: int, start: int, size: int) -> bytes:
    return struct.pack("<B3sB3sII", flag, _chs(start), kind, _chs(start + size - 1), start, size)


def _chs(sector: int) -> bytes:
    """Cylinder, head and sector, all ones where the card is too large for them."""
    cylinder, rest = divmod(sector, _HEADS * _SECTORS)
    if cylinder > 1023:
        return b"\xfe\xff\xff"
    head, number = divmod(rest, _SECTORS)
    return bytes((head, (number + 1) | (cylinder >> 2 & 0xC0), cylinder & 0xFF))


def _entry(entry: Entry) -> bytes:
    name = entry.name.encode("utf-16-le")[:72]
    attributes = _LEGACY_BOOTABLE if entry.bootable else 0
    ids = _GPT_TYPES[entry.type].bytes_le, uuid.UUID(entry.uuid).bytes_le
    return struct.pack("<16s16sQQQ72s", *ids, entry.start, entry.start + entry.size - 1, attributes, name)


def parse(head: bytes, read: Any) -> tuple[str, list[dict[str, Any]]]:
    """Kind of table (``mbr``, ``gpt``, ``none``) and its partitions, of a card's first sector.

    ``read(sector, count)`` gives sectors. Raises ValueError for a GPT whose checksums are wrong.
    """
    if head[510:512] != b"\x55\xaa":
        return "none", []
    if head[450] == 0xEE:
        return "gpt", _parse_gpt(read)
    found: list[dict[str, Any]] = []
    for number in range(1, 5):
        record = head[430 + 16 * number : 446 + 16 * number]
        flag, _, kind, _, start, size = struct.unpack("<B3sB3sII", record)
        if kind:
            found.append({"number": number, "type": f"{kind:#04x}", "start": start * SECTOR, "size": size * SECTOR,
                          "bootable": flag == 0x80, "name": ""})  # fmt: skip
    return "mbr", found


def _parse_gpt(read: Any) -> list[dict[str, Any]]:
    header = read(1, 1)
    size, crc = struct.unpack_from("<II", header, 12)
    if header[:8] != b"EFI PART" or not 92 <= size <= SECTOR:
        raise ValueError("there is no GPT header behind the protective MBR")
    if zlib.crc32(header[:16] + bytes(4) + header[20:size]) != crc:
        raise ValueError("the checksum of the GPT's header is wrong")
    first, count, each, table_crc = struct.unpack_from("<QIII", header, 72)
    if each < ENTRY or count * each > 1 << 20:
        raise ValueError("the GPT's entries have an impossible size")
    table = read(first, -(-count * each // SECTOR))[: count * each]
    if zlib.crc32(table) != table_crc:
        raise ValueError("the checksum of the GPT's entries is wrong")
    found: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        kind, _, start, end, flags, name = struct.unpack_from("<16s16sQQQ72s", table, (number - 1) * each)
        if kind != bytes(16):
            found.append({"number": number, "type": str(uuid.UUID(bytes_le=kind)), "start": start * SECTOR,
                          "size": (end - start + 1) * SECTOR, "bootable": bool(flags & _LEGACY_BOOTABLE),
                          "name": name.decode("utf-16-le", "replace").rstrip("\0")})  # fmt: skip
    return found
