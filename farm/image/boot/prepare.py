# SPDX-License-Identifier: GPL-3.0-or-later
"""What a boot needs beside the image: a card (a larger copy), and what QEMU is given to start with."""

from __future__ import annotations

import dataclasses
import io
import os
import tarfile
from pathlib import Path

from farm.image.boot import raspberry
from farm.image.boot.machine import MACHINES, Machine, card_size
from farm.image.fat import Fat
from farm.image.inside.holes import copy_parts
from farm.image.model import Board, BootTest
from farm.spec.problem import error


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """A card, QEMU's further options, and the names of the image's files that are among them."""

    machine: Machine
    card: Path
    extra: tuple[str, ...]
    files: tuple[str, ...] = ()

    @property
    def way(self) -> str:
        """How the image is booted, for the report."""
        return self.machine.way_with(self.files)


def boot_test(board: Board) -> BootTest:
    """How a board is emulated. FarmError ``no-boot-test``."""
    if board.test is None:
        hint = "add test: with a machine to its file"
        raise error("no-boot-test", f"{board.name} does not say how QEMU boots it", place=board.place(()), hint=hint)
    return board.test


def patient(board: Board, timeout: float | None) -> Board:
    """The board with another time to wait for its login prompt. FarmError ``no-boot-test``."""
    test = boot_test(board)
    return board if timeout is None else dataclasses.replace(board, test=dataclasses.replace(test, timeout=timeout))


def prepare(board: Board, image: Path, folder: Path, loader: Path | None) -> Prepared:
    """Copies the image to a larger card in ``folder`` and takes out what QEMU starts with.

    ``loader``: the package's tarball that holds ``test.file``, for virt. FarmError ``missing-file``, ``bad-config``.
    """
    test = boot_test(board)
    machine = MACHINES[test.machine]
    card = folder / "card.img"
    size = image.stat().st_size
    copy_holes(image, card, card_size(size))
    extra: list[str] = ["-cpu", test.cpu] if test.cpu else []
    if test.machine == "raspi4b":
        with open(card, "rb") as file:
            started = raspberry.start(Fat(file.fileno(), board.boot_partition.start))
        return Prepared(machine, card, (*extra, *_raspberry(started, folder)), started.names)
    if loader:
        (folder / "loader.bin").write_bytes(file_of_package(loader, test.file))
        extra += ["-bios", str(folder / "loader.bin")]
    return Prepared(machine, card, tuple(extra))


def _raspberry(started: raspberry.Started, folder: Path) -> list[str]:
    (folder / "kernel").write_bytes(started.kernel)
    (folder / "tree.dtb").write_bytes(raspberry.for_qemu(started.tree))
    options = ["-kernel", str(folder / "kernel"), "-dtb", str(folder / "tree.dtb")]
    if started.initrd is not None:
        (folder / "initrd").write_bytes(started.initrd)
        options += ["-initrd", str(folder / "initrd")]
    return [*options, "-append", f"{started.command_line} console=ttyAMA0,115200"]


def file_of_package(tarball: Path, name: str) -> bytes:
    """One file of a package's tarball (zstd). FarmError ``missing-file``."""
    import zstandard

    with (
        open(tarball, "rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as plain,
        tarfile.open(fileobj=io.BufferedReader(plain), mode="r|") as tar,
    ):
        for entry in tar:
            if entry.name == name.lstrip("/") and (file := tar.extractfile(entry)):
                return file.read()
    raise error("missing-file", f"the package has no file {name}")


def copy_holes(source: Path, target: Path, size: int) -> None:
    """Copies a file to one of ``size`` bytes; what is a hole stays one."""
    with open(source, "rb") as file, open(target, "wb") as out:
        out.truncate(size)
        copy_parts(file.fileno(), os.fstat(file.fileno()).st_size, out.fileno(), 0)
