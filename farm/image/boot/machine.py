# SPDX-License-Identifier: GPL-3.0-or-later
"""How QEMU is called for a board, and which way its image boots there. Pure but for `find_qemu`."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from farm.spec.problem import error

PROGRAM = "qemu-system-aarch64"
"""It has the machines of 32 bits, too."""

_CLOCK = ("-global", "cortex-a7-arm-cpu.cntfrq=24000000")
"""U-Boot sets the counter to 24 MHz; without this the guest's clock runs 2.6 times too fast."""


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """One of QEMU's machines: options, how the card and the network are plugged in, whether it has a display.

    ``way`` says how an image is booted there; ``{files}`` in it are those that were taken out of the image.
    """

    name: str
    options: tuple[str, ...]
    card: tuple[str, ...]
    network: tuple[str, ...]
    display: bool
    way: str

    def way_with(self, files: Sequence[str] = ("kernel, RAM disk and device tree",)) -> str:
        """How an image is booted there, for the report."""
        return self.way.format(files=", ".join(files))


_SD = ("-drive", "if=sd,format=raw,file={image}")
_USER = ("-nic", "user")

MACHINES: Mapping[str, Machine] = {
    "orangepi-pc": Machine(
        "orangepi-pc", _CLOCK, _SD, _USER, False, "from the image's own boot loader (SPL) on, on QEMU's orangepi-pc"
    ),
    "bpim2u": Machine(
        "bpim2u", _CLOCK, _SD, _USER, False, "from the image's own boot loader (SPL) on, on QEMU's bpim2u"
    ),
    "raspi4b": Machine(
        "raspi4b", (), _SD, ("-netdev", "user,id=net", "-device", "usb-net,netdev=net"), True,
        "with what config.txt in the image's FAT names ({files}), on QEMU's raspi4b; the farm plays the firmware's "
        "part, and the device tree lacks what QEMU does not emulate",
    ),
    "virt": Machine(
        "virt", ("-m", "1024", "-smp", "2"),
        ("-drive", "if=none,id=card,format=raw,file={image}", "-device", "virtio-blk-device,drive=card"),
        ("-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net"),
        False,
        "the unmodified image on QEMU's virt, through a U-Boot for virt that reads the image's boot configuration; the "
        "board's own boot loader does not run",
    ),
}  # fmt: skip


def command(
    program: Sequence[str], machine: Machine, image: Path, extra: Sequence[str], serial: int, monitor: int, log: Path
) -> list[str]:
    """QEMU's command line. ``serial`` and ``monitor`` are file descriptors of sockets; the guest waits for `cont`."""
    card = [word.format(image=str(image).replace(",", ",,")) for word in machine.card]
    network = machine.network or ("-nic", "none")
    name = str(log).replace(",", ",,")
    return [
        *program, "-M", machine.name, *machine.options, *card, *network, *extra,
        "-display", "none", "-monitor", "none", "-no-reboot", "-S",
        "-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control",
        "-chardev", f"socket,id=serial,fd={serial},logfile={name},logappend=off", "-serial", "chardev:serial",
    ]  # fmt: skip


def qemu_folder() -> Path:
    """Where ``ci/host-setup --qemu`` unpacks QEMU."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FARM_QEMU") or Path(cache) / "farm-qemu")


def find_qemu(machine: str) -> tuple[str, ...]:
    """The command of a QEMU that has the machine: the private one, or the system's. FarmError ``no-qemu``."""
    private = qemu_folder() / "usr"
    found: list[tuple[str, ...]] = []
    if private.is_dir():
        found.append((str(private / "bin" / PROGRAM), "-L", str(private / "share/qemu")))
    if system := shutil.which(PROGRAM):
        found.append((system,))
    for program in found:
        if _has(program, machine):
            return program
    reason = f"no {PROGRAM} here knows the machine {machine}" if found else f"there is no {PROGRAM}"
    raise error("no-qemu", reason, hint="run ci/host-setup --qemu")


def _has(program: Sequence[str], machine: str) -> bool:
    try:
        listed = subprocess.run(
            [*program, "-M", "help"], capture_output=True, text=True, timeout=60, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return False
    return any(line.split()[:1] == [machine] for line in listed.splitlines())


def card_size(size: int) -> int:
    """The size of the card that an image is tried on: a power of two, as QEMU's SD cards are, and larger by half."""
    card = 1 << 28
    while card < size + size // 2:
        card *= 2
    return card
