# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of system calls, by architecture.

Sources: the kernel's arch/*/entry/syscalls/*.tbl, include/uapi/asm-generic/unistd.h and
include/uapi/linux/audit.h. Calls newer than number 423 are numbered the same everywhere.
"""

from __future__ import annotations

import dataclasses
import os
import struct

OPEN_TREE = 428
MOVE_MOUNT = 429
CLONE3 = 435
CLOSE_RANGE = 436
LANDLOCK_CREATE_RULESET = 444
LANDLOCK_RESTRICT_SELF = 446


@dataclasses.dataclass(frozen=True, slots=True)
class Abi:
    """One way to call the kernel. ``audit`` is its AUDIT_ARCH number; the others are system call numbers."""

    audit: int
    clone: int
    unshare: int
    ioctl: int
    pivot_root: int
    add_key: int
    request_key: int
    keyctl: int
    bpf: int
    perf_event_open: int
    userfaultfd: int


_X86_64 = Abi(0xC000003E, 56, 272, 16, 155, 248, 249, 250, 321, 298, 323)
_I386 = Abi(0x40000003, 120, 310, 54, 217, 286, 287, 288, 357, 336, 374)
_ARM64 = Abi(0xC00000B7, 220, 97, 29, 41, 217, 218, 219, 280, 241, 282)
_ARM = Abi(0x40000028, 120, 337, 54, 218, 309, 310, 311, 386, 364, 388)
_RISCV64 = Abi(0xC00000F3, 220, 97, 29, 41, 217, 218, 219, 280, 241, 282)

_FAMILIES: dict[str, tuple[Abi, ...]] = {
    "x86_64": (_X86_64, _I386),
    "i686": (_I386,),
    "aarch64": (_ARM64, _ARM),
    "armv7l": (_ARM,),
    "riscv64": (_RISCV64,),
}


def abis() -> tuple[Abi, ...]:
    """All that this kernel may offer to programs, the farm's own first; empty on an unknown architecture."""
    family = _FAMILIES.get(os.uname().machine, ())
    own_is_32_bit = struct.calcsize("P") == 4
    return tuple(reversed(family)) if own_is_32_bit else family
