# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the Raspberry Pi's firmware that QEMU lacks: config.txt is read, and the kernel or a boot loader, the RAM
disk and the device tree are taken from the image's own FAT. Rules: raspberrypi.com/documentation, "config.txt"."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from farm.image.boot.devicetree import Node, read_tree, write_tree
from farm.image.fat import Fat
from farm.spec.problem import error

_FILTERS = ("all", "pi4", "none")


@dataclasses.dataclass(frozen=True, slots=True)
class Started:
    """What the firmware would have put into memory, and the names that it has in the FAT."""

    names: tuple[str, ...]
    kernel: bytes
    initrd: bytes | None
    tree: bytes
    command_line: str


def read_config(text: str) -> dict[str, str]:
    """What a Raspberry Pi 4 takes from a config.txt: the last value of each key whose filter fits.

    FarmError ``bad-config`` for a line that is neither setting, filter nor comment.
    """
    found: dict[str, str] = {}
    filters = "all"
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        if line.startswith("[") and line.endswith("]"):
            filters = line[1:-1].lower()
        elif line.startswith("initramfs "):
            if filters in ("all", "pi4"):
                found["initramfs"] = line.split(None, 1)[1]
        elif "=" in line:
            key, _, value = line.partition("=")
            if filters in ("all", "pi4"):
                found[key.strip()] = value.strip()
        elif line:
            raise error("bad-config", f"config.txt:{number}: {line!r} is no setting")
    return found


def names_in(config: Mapping[str, str]) -> tuple[str, list[str], str]:
    """What a config.txt names: the kernel or boot loader, the RAM disk (or none), the device tree."""
    tree = config.get("device_tree", "bcm2711-rpi-4-b.dtb")
    return config.get("kernel", "kernel8.img"), config.get("initramfs", "").split()[:1], tree


def start(fat: Fat) -> Started:
    """What start4.elf would start. FarmError ``missing-file``, ``bad-config``."""
    config = read_config(fat.read("config.txt").decode("utf-8", "replace"))
    if config.get("arm_64bit", "1") != "1":
        raise error("bad-config", "config.txt asks for a 32-bit kernel, which this machine does not start")
    kernel, initrd, tree = names_in(config)
    prefix = config.get("os_prefix", "")
    line = fat.read(prefix + config.get("cmdline", "cmdline.txt")).decode("utf-8", "replace").split("\n")[0]
    return Started(
        (kernel, *initrd, tree),
        fat.read(prefix + kernel),
        fat.read(prefix + initrd[0]) if initrd else None,
        fat.read(prefix + tree),
        line.strip(),
    )


def for_qemu(tree: bytes) -> bytes:
    """A device tree without what QEMU's raspi4b does not have, for the test only.

    - The HDMI block is not even "unimplemented": any access is an abort, so everything at 7ef… is off.
    - With its Bluetooth child the PL011 is no console, which it has to be: the mini UART ends in a storm of interrupts.
    - The card is in the old controller (mmc@7e300000, for WLAN on real boards); the other one's regulators hang on
      the firmware's GPIO expander, which is missing.
    - There is no Ethernet (GENET). The USB port, a gadget's on real boards, is a host's, with a network card in it.
    """
    root, reserved = read_tree(tree)
    soc = root.find("/soc") or Node()
    for name, node in soc.children.items():
        if "@7ef" in name:
            node.properties["status"] = b"disabled\0"
    root.remove("/soc/serial@7e201000/bluetooth")
    if chosen := root.find("/chosen"):
        chosen.properties["stdout-path"] = b"/soc/serial@7e201000:115200n8\0"
    root.remove("/soc/mmc@7e300000/wifi@1")
    if card := root.find("/soc/mmc@7e300000"):
        card.properties.pop("mmc-pwrseq", None)
        card.properties.pop("non-removable", None)
        card.properties["status"] = b"okay\0"
    if usb := root.find("/soc/usb@7e980000"):
        usb.properties["dr_mode"] = b"host\0"
        usb.properties["status"] = b"okay\0"
    for path in ("/soc/serial@7e215040", "/emmc2bus/mmc@7e340000"):
        if node := root.find(path):  # type: ignore[assignment]
            node.properties["status"] = b"disabled\0"
    return write_tree(root, reserved)
