# SPDX-License-Identifier: GPL-3.0-or-later
"""An image against its board: everything that no emulator runs is checked by its structure."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from farm.image.bootfiles import check_boot_files
from farm.image.egon import look
from farm.image.inspect import Inspected, inspect, read_table
from farm.image.layout import shown
from farm.image.model import SECTOR, Board
from farm.spec.problem import FarmError, Problem


def verify_image(file: Path, board: Board | None) -> tuple[Inspected, list[Problem]]:
    """All that is wrong with an image: by itself, and as the image of ``board``. FarmError when it is none."""
    found = inspect(file)
    problems = [Problem("bad-loader", f"{p.title}") for p in found.pieces if p.kind == "loader" and p.details]
    problems += _copy_of_table(file, found)
    problems += _overlaps(found)
    problems += _file_systems(file, found)
    if board:
        with open(file, "rb") as image:
            problems += _partitions(found, board)
            problems += _loaders(image.fileno(), board)
            problems += check_boot_files(image.fileno(), board)
    return found, problems


def _copy_of_table(file: Path, found: Inspected) -> Iterator[Problem]:
    """A GPT has a copy at the end of the card (UEFI 2.10, 5.3.2), which says the same."""
    if found.table != "gpt":
        return
    with open(file, "rb") as image:
        number = image.fileno()
        header = int.from_bytes(os.pread(number, 8, SECTOR + 32), "little")
        try:
            if read_table(file, number, header) == read_table(file, number):
                return
            reason = "it names other partitions"
        except FarmError as failure:
            reason = failure.problems[0].message.removeprefix(f"{file}: ")
    yield Problem("bad-table", f"the copy of the GPT in sector {header}: {reason}")


def _overlaps(found: Inspected) -> Iterator[Problem]:
    before = None
    for piece in found.pieces:
        if before and piece.start < before.start + before.size:
            yield Problem("pieces-overlap", f"{piece.title} at {shown(piece.start)} lies over {before.title}")
        if piece.start + piece.size > found.size:
            yield Problem("partition-outside", f"{piece.title} ends behind the end of the image")
        before = piece


def _file_systems(file: Path, found: Inspected) -> Iterator[Problem]:
    """e2fsck, read-only, where it is installed (it is on every Debian)."""
    for piece in found.pieces:
        if piece.kind == "ext4":
            command = ["e2fsck", "-fn", f"{file.absolute()}?offset={piece.start}"]
            try:
                done = subprocess.run(command, capture_output=True, text=True, check=False)
            except FileNotFoundError:
                hint = "apt-get install e2fsprogs"
                yield Problem("tool-missing", "file systems are not checked: there is no e2fsck", None, hint, "warning")
                return
            if done.returncode:
                yield Problem("bad-file-system", f"{piece.title}: e2fsck says: {_reason(done.stdout)}")


def _reason(said: str) -> str:
    """What e2fsck found, without its passes and questions: the first lines."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("Pass ")]
    return " / ".join(lines[:3])[:300] or "nothing"


def _partitions(found: Inspected, board: Board) -> Iterator[Problem]:
    there = {(p.start, p.size, p.kind) for p in found.pieces}
    for part in board.partitions:
        if (part.start, part.size, part.type) not in there:
            message = f"there is no {part.type} partition {part.name} of {shown(part.size)} at {shown(part.start)}"
            yield Problem("wrong-partition", message, board.place(("partitions", part.number - 1)))


def _loaders(image: int, board: Board) -> Iterator[Problem]:
    for index, loader in enumerate(board.loaders):
        place = board.place(("boot-loader", index))
        there = look(image, loader.offset)
        if loader.kind != "other" and there.kind != loader.kind:
            message = f"at {shown(loader.offset)} there is {there}, not {loader.kind}"
            yield Problem("wrong-loader", message, place)
        elif there.problem:
            yield Problem("bad-loader", f"at {shown(loader.offset)}: {there}", place)
        elif loader.kind == "egon" and loader.name and there.name != loader.name:
            yield Problem("wrong-loader", f"the SPL is for {there.name}, not for {loader.name}", place)
        elif loader.kind == "other" and not os.pread(image, 4096, loader.offset).strip(b"\0"):
            yield Problem("wrong-loader", f"there is nothing at {shown(loader.offset)}", place)
