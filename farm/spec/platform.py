# SPDX-License-Identifier: GPL-3.0-or-later
"""Platforms in Docker's words (``linux/arm64``, ``linux/arm/v7``), and what each is called elsewhere.

Sources: the ELF specification and its processor supplements (``e_machine``, ``EF_ARM_EABI_VER5``,
``EF_ARM_ABI_FLOAT_HARD``), Debian's multiarch tuples and architecture names, names of QEMU's user emulators.
"""

from __future__ import annotations

import dataclasses
import os
import struct

HEADER = 52
"""Bytes of a file that `of_elf` and `is_program` look at: those of the smaller ELF header."""

_EM_ARM = 40
_ARM_SOFT_FLOAT = 0x200
_EXECUTABLE = (2, 3)


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """One machine: bits of its words, ``e_machine`` of its programs, its byte order as `struct` has it.

    ``triple`` is Debian's multiarch tuple, which its cross compilers' names begin with; ``debian`` the name of the
    architecture; ``qemu`` how QEMU calls it, ``uname`` the kernel.
    """

    bits: int
    number: int
    order: str
    triple: str
    debian: str
    qemu: str
    uname: str


MACHINES: dict[str, Machine] = {
    "linux/amd64": Machine(64, 62, "<", "x86_64-linux-gnu", "amd64", "x86_64", "x86_64"),
    "linux/386": Machine(32, 3, "<", "i386-linux-gnu", "i386", "i386", "i686"),
    "linux/arm64": Machine(64, 183, "<", "aarch64-linux-gnu", "arm64", "aarch64", "aarch64"),
    "linux/arm/v7": Machine(32, _EM_ARM, "<", "arm-linux-gnueabihf", "armhf", "arm", "armv7l"),
    "linux/arm/v6": Machine(32, _EM_ARM, "<", "arm-linux-gnueabi", "armel", "arm", "armv6l"),
    "linux/ppc64le": Machine(64, 21, "<", "powerpc64le-linux-gnu", "ppc64el", "ppc64le", "ppc64le"),
    "linux/riscv64": Machine(64, 243, "<", "riscv64-linux-gnu", "riscv64", "riscv64", "riscv64"),
    "linux/s390x": Machine(64, 22, ">", "s390x-linux-gnu", "s390x", "s390x", "s390x"),
}
"""What is known of each platform."""

USUAL = "linux/amd64"
"""What packages and wagons that name no platform are for."""

_AS_WELL = {
    "linux/amd64": ("linux/386",),
    "linux/arm/v7": ("linux/arm/v6",),
    "linux/arm/v6": ("linux/arm/v7",),  # what a 32-bit ARM's program needs is not told by its header
}


def host_platform() -> str:
    """This host's platform."""
    machine = os.uname().machine
    known = (name for name, one in MACHINES.items() if one.uname == machine)
    return next(known, f"linux/{machine}")


def short(platform: str) -> str:
    """A platform as part of a name: ``arm64``, ``arm-v7``."""
    return platform.removeprefix("linux/").replace("/", "-")


def is_program(header: bytes) -> bool:
    """Whether a file with this beginning is an ELF program, of whatever machine."""
    if len(header) < HEADER or header[:4] != b"\x7fELF" or header[5] not in (1, 2):
        return False
    return struct.unpack_from(f"{_order(header)}H", header, 16)[0] in _EXECUTABLE


def of_elf(header: bytes) -> str | None:
    """The platform of an ELF program with this beginning; None when it is none, or of no machine that is known.

    Programs of 32-bit ARM do not tell which version of it they need: what is not for soft float is ``linux/arm/v7``.
    """
    if not is_program(header):
        return None
    bits, order = header[4] * 32, _order(header)
    number = struct.unpack_from(f"{order}H", header, 18)[0]
    if number == _EM_ARM and struct.unpack_from(f"{order}I", header, 36)[0] & _ARM_SOFT_FLOAT:
        return "linux/arm/v6"
    found = (name for name, one in MACHINES.items() if (one.bits, one.number, one.order) == (bits, number, order))
    return next(found, None)


def _order(header: bytes) -> str:
    return "<" if header[5] == 1 else ">"


def runs_programs_of(platform: str, other: str) -> bool:
    """Whether programs for ``other`` are right in a root of ``platform``: it is the same, or runs them as well."""
    return platform == other or other in _AS_WELL.get(platform, ())
