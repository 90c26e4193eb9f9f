# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes small ELF files, so that a check can be given any fault without a compiler."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

_HEADER = 64
_SEGMENT = 56
_RUNPATH, _RPATH = 29, 15
_INTERP, _LOAD, _DYNAMIC = 3, 1, 2
_TYPES = {".dynstr": 3, ".shstrtab": 3, ".dynamic": 6}


def elf(
    interpreter: str = "/lib/ld-musl-x86_64.so.1",
    needed: Sequence[str] = (),
    rpath: str = "",
    runpath: str = "",
    sections: Mapping[str, bytes] | None = None,
) -> bytes:
    """An ELF file for x86_64 that says what the arguments say; it cannot be run."""
    strings = b"\0"
    dynamic = []
    for tag, text in [*((1, name) for name in needed), (_RPATH, rpath), (_RUNPATH, runpath)]:
        if text:
            dynamic.append((tag, len(strings)))
            strings += text.encode() + b"\0"
    dynamic += [(5, 0), (10, len(strings)), (0, 0)]  # DT_STRTAB is put right below
    content = {".interp": interpreter.encode() + b"\0", ".dynstr": strings, ".dynamic": b"\0" * 16 * len(dynamic)}
    content |= {name: bytes(body) for name, body in (sections or {}).items()}
    return _joined(content, dynamic)


def _joined(content: dict[str, bytes], dynamic: list[tuple[int, int]]) -> bytes:
    names = b"\0" + b"".join(name.encode() + b"\0" for name in [*content, ".shstrtab"])
    content[".shstrtab"] = names
    offsets, end = {}, _HEADER + 3 * _SEGMENT
    for name, body in content.items():
        offsets[name] = end
        end += len(body) + -len(body) % 8
    table = [(tag, offsets[".dynstr"] if tag == 5 else value) for tag, value in dynamic]
    content[".dynamic"] = b"".join(struct.pack("<qQ", *entry) for entry in table)
    body = b"".join(part + b"\0" * (-len(part) % 8) for part in content.values())
    return _head(end, len(content) + 1) + _segments(content, offsets, end) + body + _sections(content, offsets, names)


def _head(sections_at: int, count: int) -> bytes:
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    return ident + struct.pack(
        "<HHIQQQIHHHHHH", 3, 62, 1, 0, _HEADER, sections_at, 0, _HEADER, _SEGMENT, 3, 64, count, count - 1
    )


def _segments(content: Mapping[str, bytes], offsets: Mapping[str, int], end: int) -> bytes:
    parts = [(_LOAD, 0, end), *((kind, offsets[name], len(content[name])) for kind, name in _SEGMENTS)]
    return b"".join(struct.pack("<IIQQQQQQ", kind, 4, at, at, at, size, size, 8) for kind, at, size in parts)


_SEGMENTS = ((_INTERP, ".interp"), (_DYNAMIC, ".dynamic"))


def _sections(content: Mapping[str, bytes], offsets: Mapping[str, int], names: bytes) -> bytes:
    table = bytes(64)
    order = list(content)
    for name, body in content.items():
        link = order.index(".dynstr") + 1 if name == ".dynamic" else 0
        size = 16 if name == ".dynamic" else 0
        place = names.index(name.encode() + b"\0")
        at = offsets[name]
        table += struct.pack("<IIQQQQIIQQ", place, _TYPES.get(name, 1), 0, at, at, len(body), link, 0, 8, size)
    return table
