# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm image inspect`` and ``verify`` on what is no image, on damaged ones, and on what others have made."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from farm.image.fat import Fat
from farm.image.inside import table
from farm.image.inspect import inspect
from farm.image.picture import svg, text
from farm.image.verify import verify_image
from farm.spec.problem import FarmError

MIB = 1 << 20
START = 2048
"""The sector at which the only partition begins."""
DISK = "4f27ab6e-cc95-5da3-a284-97a481ce08a5"
ROOT = "6f1f1c3e-0f5c-4d3c-9d39-2d7f9a5f4b11"


def card(folder: Path, kind: str, content: bytes, size: int = 8 * MIB) -> Path:
    """An image with an MBR and one partition up to its end, which begins with ``content``."""
    path = folder / "card.img"
    with open(path, "w+b") as out:
        out.truncate(size)
        entry = table.Entry(kind, START, size // 512 - START, "part", False, ROOT)
        os.pwrite(out.fileno(), table.mbr([entry], 1), 0)
        os.pwrite(out.fileno(), content, START * 512)
    return path


def boot_sector(cluster: int, reserved: int, copies: int, length: int, total: int) -> bytes:
    """That of a FAT32; numbers are sectors. Its root begins at cluster 2."""
    sector = bytearray(512)
    struct.pack_into("<HBHBH", sector, 11, 512, cluster, reserved, copies, 0)
    struct.pack_into("<I", sector, 32, total)
    struct.pack_into("<I", sector, 36, length)
    struct.pack_into("<I", sector, 44, 2)
    sector[510:] = b"\x55\xaa"
    return bytes(sector)


def super_block(**words: int) -> bytes:
    """The beginning of an ext4 of nothing but its mark, and words of 32 bits at offsets ``at_N``."""
    data = bytearray(4096)
    data[1080:1082] = b"\x53\xef"
    for name, value in words.items():
        struct.pack_into("<I", data, 1024 + int(name[3:]), value)
    return bytes(data)


DAMAGED = {
    "huge blocks": super_block(at_0=1, at_4=1, at_24=0xFFFFFFFF),
    "no blocks": super_block(),
    "a table larger than all memory": boot_sector(255, 1, 2, 0xFFFFFFFF, 0xFFFFFFFF),
    "no cluster": boot_sector(1, 32, 2, 100, 10),
    "clusters of no power of two": boot_sector(3, 32, 2, 100, 14000),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_file_systems_are_shown(tmp_path: Path, what: str) -> None:
    found = inspect(card(tmp_path, "ext4", DAMAGED[what]))
    assert [piece.kind for piece in found.pieces][1] == ("ext4" if "blocks" in what else "raw")
    assert ("its super block is damaged" in "\n".join(text(found))) == ("blocks" in what)
    ElementTree.fromstring(svg(found))


def test_an_image_that_is_cut_off(tmp_path: Path) -> None:
    path = card(tmp_path, "ext4", super_block(at_0=10, at_4=10))
    os.truncate(path, START * 512 + 1100)
    assert "its super block is damaged" in "\n".join(text(inspect(path)))
    _, problems = verify_image(path, None)
    assert "partition-outside" in {problem.code for problem in problems}


def test_folders_that_hold_themselves(tmp_path: Path) -> None:
    """A FAT whose root's entries all lead to the root ends, and soon."""
    entry = struct.pack("<11sB8xH4xHI", b"LOOP       ", 0x10, 0, 2, 0)
    content = boot_sector(1, 1, 1, 600, 70000) + struct.pack("<3I", 0x0FFFFFF8, 0x0FFFFFFF, 0x0FFFFFFF)
    path = card(tmp_path, "fat", content, 40 * MIB)
    with open(path, "r+b") as image:
        os.pwrite(image.fileno(), entry * 16, (START + 601) * 512)
        fat = Fat(image.fileno(), START * 512)
        assert fat.bits == 32 and list(fat.files()) == []


@pytest.mark.parametrize("kind", ["fifo", "device", "compressed", "nothing", "bare"])
@pytest.mark.parametrize("command", ["inspect", "verify", "write"])
def test_what_is_no_image(tmp_path: Path, kind: str, command: str) -> None:
    path = tmp_path / "odd.img"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "bare":
        subprocess.run(["mformat", "-C", "-i", path, "-T", "2880", "-h", "16", "-s", "32", "::"], check=True)
    else:
        path.write_bytes(b"\x28\xb5\x2f\xfd" + os.urandom(600) if kind == "compressed" else b"")
    words = [command, path, *([tmp_path / "target"] if command == "write" else [])]
    ran = subprocess.run(
        [sys.executable, "-m", "farm", "image", *map(str, words)], capture_output=True, text=True, timeout=20
    )
    if command == "write" and kind not in ("fifo", "device"):
        assert ran.returncode == 0
        return
    assert ran.returncode == 1 and ran.stderr.startswith("error: ") and "[no-image]" in ran.stderr, ran.stderr
    assert not (tmp_path / "target").exists()


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """Control characters of a boot loader's name, and of the file's, reach neither the terminal nor the picture."""
    head = bytearray(96)
    head[4:12] = b"eGON.BT0"
    struct.pack_into("<III", head, 12, 0, 96, 0)
    struct.pack_into("<I", head, 32, 64)
    head[64:80] = b'\x1b[2J\x07<&"evil\0\0\0\0'
    path = card(tmp_path, "raw", b"")
    with open(path, "r+b") as image:
        os.pwrite(image.fileno(), bytes(head), 8192)
    path = path.rename(tmp_path / os.fsdecode(b"a\xff\x1b[1m.img"))
    ran = subprocess.run(
        [sys.executable, "-m", "farm", "image", "inspect", path, "--svg", tmp_path / "card.svg"], capture_output=True
    )
    assert ran.returncode == 0 and b"eGON" in ran.stdout and b"\x1b" not in ran.stdout, ran.stderr
    drawn = (tmp_path / "card.svg").read_bytes()
    ElementTree.fromstring(drawn)
    assert b"\x1b" not in drawn
    ran = subprocess.run([sys.executable, "-m", "farm", "image", "inspect", path, "--json"], capture_output=True)
    assert json.loads(ran.stdout)["table"] == "mbr"


@pytest.mark.parametrize("fault", ["", "copy", "cut"])
def test_the_copy_of_a_gpt(tmp_path: Path, fault: str) -> None:
    sectors = 8 * MIB // 512
    path = tmp_path / "card.img"
    with open(path, "w+b") as out:
        out.truncate(sectors * 512)
        entry = table.Entry("raw", START, 8192, "part", False, ROOT)
        for sector, data in table.gpt([entry], DISK, sectors, 56):
            os.pwrite(out.fileno(), data, sector * 512)
        if fault == "copy":
            os.pwrite(out.fileno(), b"\xfe", (sectors - 15) * 512 + 40)
    if fault == "cut":
        os.truncate(path, 7 * MIB)
    _, problems = verify_image(path, None)
    assert [problem.code for problem in problems] == (["bad-table"] if fault else [])


def test_a_gpt_that_is_damaged_is_no_traceback(tmp_path: Path) -> None:
    path = card(tmp_path, "raw", b"")
    with open(path, "r+b") as image:
        os.pwrite(image.fileno(), b"\xee", 450)
    os.truncate(path, 600)
    with pytest.raises(FarmError) as failure:
        inspect(path)
    assert failure.value.code == "bad-table"
