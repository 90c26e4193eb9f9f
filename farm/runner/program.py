# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest program of each machine, written out in machine code: to find out whether its programs run here."""

from __future__ import annotations

import struct

from farm.spec.platform import MACHINES

_EXIT = {  # exit(0), in machine code: put the call's number and 0 into registers, then the call
    "linux/amd64": bytes.fromhex("31ff" "b83c000000" "0f05"),
    "linux/386": bytes.fromhex("31db" "b801000000" "cd80"),
    "linux/arm64": bytes.fromhex("000080d2" "a80b80d2" "010000d4"),
    "linux/arm/v7": bytes.fromhex("0000a0e3" "0170a0e3" "000000ef"),
    "linux/arm/v6": bytes.fromhex("0000a0e3" "0170a0e3" "000000ef"),
    "linux/ppc64le": bytes.fromhex("01000038" "00006038" "02000044"),
    "linux/riscv64": bytes.fromhex("13050000" "9308d005" "73000000"),
    "linux/s390x": bytes.fromhex("a7290000" "0a01"),
}  # fmt: skip
_FLAGS = {"linux/arm/v6": 0x5000200, "linux/arm/v7": 0x5000400, "linux/ppc64le": 2}
"""``e_flags`` of programs: ARM's system interface and its floats, the second system interface of 64-bit POWER."""


def beginning(platform: str) -> bytes:
    """The beginning of an executable of ``platform``: identity, type and machine."""
    machine = MACHINES[platform]
    order = 1 if machine.order == "<" else 2
    identity = b"\x7fELF" + bytes([machine.bits // 32, order, 1]) + bytes(9)
    return identity + struct.pack(f"{machine.order}HH", 2, machine.number)


def smallest_program(platform: str) -> bytes | None:
    """A program for ``platform`` that ends with status 0, as a file; None: no machine code for it is known."""
    code = _EXIT.get(platform)
    if code is None:
        return None
    machine = MACHINES[platform]
    order, wide = machine.order, machine.bits == 64
    head, entry = (64 + 56, 0x400000) if wide else (52 + 32, 0x10000)
    size, flags = head + len(code), _FLAGS.get(platform, 0)
    start = beginning(platform) + struct.pack(f"{order}I", 1)
    if wide:
        start += struct.pack(f"{order}QQQIHHHHHH", entry + head, 64, 0, flags, 64, 56, 1, 0, 0, 0)
        segment = struct.pack(f"{order}IIQQQQQQ", 1, 5, 0, entry, entry, size, size, 0x10000)
    else:
        start += struct.pack(f"{order}IIIIHHHHHH", entry + head, 52, 0, flags, 52, 32, 1, 0, 0, 0)
        segment = struct.pack(f"{order}IIIIIIII", 1, 0, entry, entry, size, size, 5, 0x10000)
    return start + segment + code
