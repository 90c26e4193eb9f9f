# SPDX-License-Identifier: GPL-3.0-or-later
"""What the FAT partitions of an image hold, against its board: firmware, kernel, and what the boot loader reads."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterator

from farm.image.boot.raspberry import names_in, read_config
from farm.image.egon import look_at
from farm.image.fat import Fat
from farm.image.graph import kernel_name
from farm.image.layout import Path
from farm.image.model import Board
from farm.spec.problem import FarmError, Problem


def check_boot_files(image: int, board: Board) -> Iterator[Problem]:
    """Firmware is there, and so are the boot files; config.txt and boot.scr are understood."""
    for part in board.partitions:
        if part.type != "fat":
            continue
        try:
            fat = Fat(image, part.start)
            names = {file.path.lower() for file in fat.files()}
        except FarmError as failure:
            yield from failure.problems
            continue
        yield from _firmware(names, part.name, board)
        if part.name == board.boot.partition:
            yield from _boot(fat, names, board)


def _firmware(names: set[str], partition: str, board: Board) -> Iterator[Problem]:
    for index, firmware in enumerate(board.firmware):
        for number, pattern in enumerate(firmware.files):
            name = posixpath.join(firmware.to, posixpath.basename(pattern)).lower()
            if firmware.partition == partition and not fnmatch.filter(names, name):
                at = board.place(("firmware", index, "files", number))
                yield Problem("missing-firmware", f"{name} is not in partition {partition}", at)


def _boot(fat: Fat, names: set[str], board: Board) -> Iterator[Problem]:
    for name, at in _needed(board):
        if name.lower() not in names:
            yield Problem("missing-file", f"{name} is not in partition {board.boot.partition}", board.place(at))
    if board.boot.config_txt is not None and "config.txt" in names:
        yield from _config(fat, names, board)
    if board.boot.boot_scr is not None and "boot.scr" in names:
        found = look_at(fat.read("boot.scr"))
        if found.kind != "uimage" or found.problem:
            yield Problem("bad-script", f"boot.scr: {found}", board.place(("boot", "boot-scr")))


def _needed(board: Board) -> Iterator[tuple[str, Path]]:
    """Names of the files that the farm has put there, and the keys they come from."""
    boot, tree = board.boot, board.device_tree
    yield kernel_name(board), ("kernel",)
    if board.busybox:
        yield "initrd.img", ("initrd",)
    if tree:
        yield posixpath.basename(tree) if boot.config_txt is not None else f"dtb/{tree}", ("device-tree",)
    if boot.extlinux:
        yield "extlinux/extlinux.conf", ("boot", "extlinux")
    if boot.boot_scr is not None:
        yield "boot.scr", ("boot", "boot-scr")
    if boot.config_txt is not None:
        yield "config.txt", ("boot", "config-txt")


def _config(fat: Fat, names: set[str], board: Board) -> Iterator[Problem]:
    """What config.txt names is there."""
    place = board.place(("boot", "config-txt"))
    try:
        config = read_config(fat.read("config.txt").decode("utf-8", "replace"))
    except FarmError as failure:
        yield from (Problem(p.code, p.message, place, p.hint) for p in failure.problems)
        return
    kernel, initrd, tree = names_in(config)
    for name in (kernel, tree, *initrd):
        if name and name.lower() not in names:
            yield Problem("missing-file", f"config.txt names {name}, which is not there", place)
