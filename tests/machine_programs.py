# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of other machines for tests, written out in machine code, and Debian's static busybox of them.

A program here stands in a root as ``/bin/sh``: it says which machine it is of, and ends, well or not.
"""

from __future__ import annotations

import io
import struct
import tarfile
import threading
from pathlib import Path
from typing import Literal

from farm.plan.job import ArchiveInput, Assemble, Fetch
from farm.spec.platform import MACHINES
from farm.spec.problem import FarmError
from farm.store.fetch import fetch
from farm.store.store import Store

End = Literal["well", "illegal", "segfault"]
PLATFORMS = ("linux/arm64", "linux/arm/v7")

_BUSYBOX = {
    "linux/arm64": (
        "apt:pool/main/b/busybox/busybox-static_1.35.0-4+deb12u1+b1_arm64.deb",
        "732c9135564fc71337e0e05fb4da4d11e6c28c1834bce3e405e575afef2a52f5",
    ),
    "linux/arm/v7": (
        "apt:pool/main/b/busybox/busybox-static_1.35.0-4+deb12u1+b1_armhf.deb",
        "2f68dbeaebeda49f3cde34ac421d5add85fb1c837ff7c4a4971945340d9d66ff",
    ),
}

# write(1, text, size), then: exit(0), an undefined instruction, or a load from address 0.
_WRITE = {
    "linux/arm64": "200080d2 81010010 020280d2 080880d2 010000d4",
    "linux/arm/v7": "0100a0e3 20108fe2 1020a0e3 0470a0e3 000000ef",
}
_END: dict[str, dict[End, str]] = {
    "linux/arm64": {
        "well": "000080d2 a80b80d2 010000d4",
        "illegal": "00000000 00000000 00000000",
        "segfault": "000080d2 000040f9 000040f9",
    },
    "linux/arm/v7": {
        "well": "0000a0e3 0170a0e3 000000ef",
        "illegal": "f000f0e7 f000f0e7 f000f0e7",
        "segfault": "0000a0e3 000090e5 000090e5",
    },
}


def shell(platform: str, end: End = "well") -> bytes:
    """A program that writes 16 characters, ``i am PLATFORM``, and ends so."""
    code = bytes.fromhex(_WRITE[platform]) + bytes.fromhex(_END[platform][end])
    code = code.ljust(52 if platform == "linux/arm64" else 44, b"\0")
    text = f"i am {platform.removeprefix('linux/')}".ljust(15).encode() + b"\n"
    return _program(platform, code + text)


def _program(platform: str, content: bytes) -> bytes:
    machine = MACHINES[platform]
    identity = b"\x7fELF" + bytes([machine.bits // 32, 1, 1]) + bytes(9)
    start = struct.pack("<HHI", 2, machine.number, 1)
    if machine.bits == 64:
        base, head = 0x400000, 64 + 56
        size = head + len(content)
        start += struct.pack("<QQQIHHHHHH", base + head, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        segment = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x10000)
    else:
        base, head = 0x10000, 52 + 32
        size = head + len(content)
        start += struct.pack("<IIIIHHHHHH", base + head, 52, 0, 0x5000400, 52, 32, 1, 0, 0, 0)
        segment = struct.pack("<IIIIIIII", 1, 0, base, base, size, size, 5, 0x10000)
    return identity + start + segment + content


def root(program: bytes) -> io.BytesIO:
    """A root tarball with ``program`` as its ``/bin/sh``, which is a link as in real ones."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("usr", "usr/bin", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        file = tarfile.TarInfo("usr/bin/dash")
        file.size, file.mode = len(program), 0o755
        tar.addfile(file, io.BytesIO(program))
        for name, target in (("usr/bin/sh", "dash"), ("bin", "/usr/bin")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    out.seek(0)
    return out


def tar_of(name: str, content: bytes) -> io.BytesIO:
    """A tarball with one program."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o755
        tar.addfile(member, io.BytesIO(content))
    out.seek(0)
    return out


def busybox(platform: str, folder: Path) -> Path | None:
    """Debian's static busybox for ``platform``, verified; None where no mirror has that revision any more."""
    url, sha256 = _BUSYBOX[platform]
    with Store(folder / "store") as store:
        try:
            blob = fetch(Fetch(sha256, (url,)), store, folder / "fetch.log", threading.Event())
        except FarmError:
            return None
        made = store.assemble(Assemble((), (ArchiveInput(blob, "/"),)))
        program = folder / "busybox"
        program.write_bytes((store.layer_paths((made.digest,))[0] / "bin" / "busybox").read_bytes())
    program.chmod(0o755)
    return program
