# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts that an image is made of and read with, each against a referee: sfdisk, mtools, the kernel's formats."""

from __future__ import annotations

import json
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from farm.image.boot.devicetree import Node, read_tree, write_tree
from farm.image.boot.raspberry import read_config
from farm.image.egon import look
from farm.image.fat import Fat
from farm.image.inside import cpio, table
from farm.image.inside.content import script_text
from farm.image.inside.modules import Modules
from farm.image.inspect import inspect
from farm.image.picture import svg, text
from farm.spec.problem import FarmError

SECTORS = 1 << 18
ENTRIES = [
    table.Entry("fat", 8192, 65536, "boot", True, "6f1f1c3e-0f5c-4d3c-9d39-2d7f9a5f4b11"),
    table.Entry("ext4", 73728, 131072, "root", False, "6f1f1c3e-0f5c-4d3c-9d39-2d7f9a5f4b12"),
]
DISK = "4f27ab6e-cc95-5da3-a284-97a481ce08a5"


def card(tmp_path: Path, kind: str, length: int = 56) -> Path:
    """An image with nothing but a table."""
    path = tmp_path / "card.img"
    with open(path, "wb") as out:
        out.truncate(SECTORS * 512)
        parts = [(0, table.mbr(ENTRIES, 0xFA120001))] if kind == "dos" else table.gpt(ENTRIES, DISK, SECTORS, length)
        for sector, data in parts:
            out.seek(sector * 512)
            out.write(data)
    return path


def sfdisk(path: Path) -> dict[str, object]:
    """What sfdisk says of a table; it has to be content with it."""
    said = subprocess.run(["/usr/sbin/sfdisk", "--verify", path], capture_output=True, text=True, check=True)
    assert "No errors detected" in said.stdout, said
    told = subprocess.run(["/usr/sbin/sfdisk", "-J", path], capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(told.stdout)["partitiontable"]
    return found


@pytest.mark.parametrize(("kind", "length"), [("dos", 4), ("gpt", 56), ("gpt", 128)])
def test_tables(tmp_path: Path, kind: str, length: int) -> None:
    path = card(tmp_path, kind, length)
    found = sfdisk(path)
    assert found["label"] == kind
    assert [(p["start"], p["size"]) for p in found["partitions"]] == [(8192, 65536), (73728, 131072)]  # type: ignore[attr-defined]
    read = inspect(path)
    assert [(p.start, p.size) for p in read.pieces if p.kind == "raw"] == [
        (e.start * 512, e.size * 512) for e in ENTRIES
    ]
    if length == 56:
        assert read.pieces[0].size == 8192


def test_a_broken_gpt_is_refused(tmp_path: Path) -> None:
    path = card(tmp_path, "gpt")
    with open(path, "r+b") as out:
        out.seek(1024 + 48)
        out.write(b"\xff")
    with pytest.raises(FarmError) as failure:
        inspect(path)
    assert failure.value.code == "bad-table"


@pytest.mark.parametrize("kind", ["dos", "gpt"])
def test_growroot(tmp_path: Path, kind: str) -> None:
    """The last partition ends where the larger card ends, the first is as it was; a second run changes nothing."""
    program = tmp_path / "growroot"
    source = Path(__file__).parents[2] / "specs/boards/tools/growroot/growroot.c"
    try:
        subprocess.run(["gcc", "-O1", "-Wall", "-Werror", "-o", program, source], check=True)
    except FileNotFoundError:
        pytest.skip("there is no gcc")
    path = card(tmp_path, kind)
    with open(path, "r+b") as out:
        out.truncate(SECTORS * 1024)
    subprocess.run([program, "table", path, "2"], check=True)
    grown = sfdisk(path)["partitions"]
    assert (grown[0]["start"], grown[0]["size"]) == (8192, 65536)  # type: ignore[index]
    assert grown[1]["start"] == 73728 and grown[1]["size"] > SECTORS * 2 - 73728 - 4096  # type: ignore[index]
    before = path.read_bytes()
    subprocess.run([program, "table", path, "2"], check=True)
    subprocess.run([program, "table", path, "1"], check=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("size", ["2880", "65536", "204800"])
def test_fat(tmp_path: Path, size: str) -> None:
    image = tmp_path / "fat.img"
    with open(image, "wb") as out:
        out.truncate(1 << 20)
    kind = ["-F"] if size == "204800" else []
    target = ["-i", f"{image}@@1048576"]
    subprocess.run(
        ["mformat", *target, "-C", *kind, "-v", "FARM", "-T", size, "-h", "16", "-s", "32", "::"], check=True
    )
    (tmp_path / "a file with a long name.txt").write_bytes(b"long" * 5000)
    (tmp_path / "kernel8.img").write_bytes(b"kernel")
    subprocess.run(["mmd", *target, "::/overlays"], check=True)
    subprocess.run(["mcopy", *target, tmp_path / "kernel8.img", "::/"], check=True)
    subprocess.run(["mcopy", *target, tmp_path / "a file with a long name.txt", "::/overlays/"], check=True)
    with open(image, "rb") as file:
        fat = Fat(file.fileno(), 1 << 20)
        assert {f.path for f in fat.files()} == {"kernel8.img", "overlays/a file with a long name.txt"}
        assert fat.read("KERNEL8.IMG") == b"kernel"
        assert fat.read("overlays/a file with a long name.txt") == b"long" * 5000
        assert fat.bits == (32 if kind else 12 if size == "2880" else 16)


def test_cpio() -> None:
    archive = cpio.Archive(1700000000)
    archive.folder("dev")
    archive.device("dev/console", 5, 1)
    archive.file("init", b"#!/bin/sh\n", 0o755)
    made = archive.finish()
    again = cpio.Archive(1700000000)
    again.folder("dev")
    again.device("dev/console", 5, 1)
    again.file("init", b"#!/bin/sh\n", 0o755)
    assert made == again.finish()
    plain = zlib.decompress(made, 31)
    listed = subprocess.run(["busybox", "cpio", "-tv"], input=plain, capture_output=True, check=True).stdout.decode()
    assert "crw-------" in listed and "-rwxr-xr-x" in listed


def test_modules_in_their_order() -> None:
    modules = Modules({
        "modules.dep": "kernel/ext4.ko: kernel/crc16.ko kernel/jbd2.ko\nkernel/jbd2.ko:\nkernel/crc16.ko:\n"
        "kernel/crc32c_generic.ko:\nkernel/a-b.ko.xz: kernel/c.ko\nkernel/c.ko: kernel/a-b.ko.xz\n",
        "modules.softdep": "softdep ext4 pre: crypto-crc32c post: late\n",
        "modules.alias": "alias crypto-crc32c crc32c_generic\nalias pci:* other\n",
        "modules.builtin": "kernel/mmc_block.ko\n",
    })  # fmt: skip
    assert modules.order(["ext4"]) == [
        "kernel/crc32c_generic.ko", "kernel/jbd2.ko", "kernel/crc16.ko", "kernel/ext4.ko"
    ]  # fmt: skip
    assert set(modules.order(["a_b"])) == {"kernel/a-b.ko.xz", "kernel/c.ko"}
    assert modules.order(["mmc-block"]) == []
    assert modules.knows("mmc-block") and modules.knows("A-b".lower()) and not modules.knows("nothing")


def spl(name: bytes = b"sun50i-a64-pine64-plus") -> bytes:
    """An SPL with a right checksum."""
    data = bytearray(8192)
    data[4:12] = b"eGON.BT0"
    struct.pack_into("<III", data, 12, 0x5F0A6C39, len(data), 0x02004C53)
    struct.pack_into("<I", data, 32, 64)
    data[64 : 64 + len(name)] = name
    total = sum(struct.unpack(f"<{len(data) // 4}I", data)) & 0xFFFFFFFF
    struct.pack_into("<I", data, 12, total)
    return bytes(data)


def test_boot_loaders_are_known(tmp_path: Path) -> None:
    tree = write_tree(Node(children={"images": Node(children={"atf": Node()}), "configurations": Node()}), bytes(16))
    header = struct.pack(">7I4B32s", 0x27051956, 0, 0, 4, 0, 0, zlib.crc32(b"boot"), 17, 2, 5, 0, b"U-Boot")
    header = header[:4] + struct.pack(">I", zlib.crc32(header)) + header[8:]
    content = spl() + tree.ljust(8192, b"\0") + (header + b"boot").ljust(8192, b"\0")
    (tmp_path / "card").write_bytes(content)
    with open(tmp_path / "card", "rb") as file:
        number = file.fileno()
        assert look(number, 0).name == "sun50i-a64-pine64-plus" and not look(number, 0).problem
        assert look(number, 8192).kind == "fit" and look(number, 8192).name == "atf"
        assert look(number, 16384).name == "U-Boot" and not look(number, 16384).problem
        assert look(number, 512).kind == "nothing"
    for at in (100, 8192 + 57, 16384 + 66):
        broken = bytearray(content)
        broken[at] ^= 0xFF
        (tmp_path / "card").write_bytes(broken)
        with open(tmp_path / "card", "rb") as file:
            found = [look(file.fileno(), offset) for offset in (0, 8192, 16384)]
        assert any(one.problem or one.kind == "nothing" or one.name not in (
            "sun50i-a64-pine64-plus", "atf", "U-Boot") for one in found), at  # fmt: skip


def test_device_trees_survive_a_change() -> None:
    top = Node({"model": b"Board\0"}, {"soc": Node({}, {"uart@1": Node({"status": b"okay\0", "reg": bytes(8)})})})
    data = write_tree(top, bytes(16))
    root, reserved = read_tree(data)
    assert write_tree(root, reserved) == data and root.text("model") == "Board"
    root.remove("/soc/uart@1")
    again, _ = read_tree(write_tree(root, reserved))
    assert again.find("/soc") and not again.find("/soc/uart@1")
    for bad in (b"", data[:50], b"\xd0\x0d\xfe\xed" + b"\xff" * 60, data[:60] + b"\xff" * 8 + data[68:]):
        with pytest.raises(FarmError):
            read_tree(bad)


def test_a_script_finds_the_command_line() -> None:
    text = script_text('root=UUID=1 q=a"b;c $d"', ["boot"])
    assert text == b"setenv bootargs 'root=UUID=1 q=a\"b;c $d\"'\nboot\n"


def test_config_txt() -> None:
    config = read_config(
        "# comment\narm_64bit=1\n[pi3]\nkernel=old\n[pi4]\nkernel=new # text\n[all]\ninitramfs a followkernel\n"
    )
    assert config == {"arm_64bit": "1", "kernel": "new", "initramfs": "a followkernel"}
    with pytest.raises(FarmError):
        read_config("what is this\n")


def test_pictures(tmp_path: Path) -> None:
    found = inspect(card(tmp_path, "gpt"))
    lines = list(text(found))
    assert "GPT" in lines[0] and sum("partition" in line for line in lines) == 2
    drawn = svg(found)
    from xml.etree import ElementTree

    assert len(ElementTree.fromstring(drawn).findall(".//{*}rect")) > 6
