# SPDX-License-Identifier: GPL-3.0-or-later
"""A root in an image is the root, file by file: e2fsck and debugfs say so."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import random
import re
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from farm.image.blockmap import read_map
from farm.image.inside import bmap, filesystems
from farm.image.inside.report import Findings
from farm.image.inside.roottar import Over, Root

EPOCH = 1700000000
START = 1 << 20
WORDS = ("file", "größe", "日本語", "with space", "ñ" * 40)
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
PART = {"number": 1, "name": "root", "type": "ext4", "start": START, "size": 0, "label": "root", "mount": "/",
        "uuid": "6f1f1c3e-0f5c-4d3c-9d39-2d7f9a5f4b11"}  # fmt: skip


def add(tar: tarfile.TarFile, name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: object) -> None:
    """One entry."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.mtime, entry.mode = kind, len(data), EPOCH, 0o755
    for key, value in fields.items():
        setattr(entry, key, value)
    tar.addfile(entry, io.BytesIO(data))


@dataclasses.dataclass(frozen=True)
class Small:
    """What a small file of the root has to be."""

    sha256: str
    mode: int
    owner: int


def make_root(path: Path, files: int) -> dict[str, Small]:
    """A root of everything that is difficult, and ``files`` small files, by path."""
    chance = random.Random(7)
    sums: dict[str, Small] = {}
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("bin", "dev", "etc", "lost+found", "many", "päckchen", "sparse"):
            add(tar, name, tarfile.DIRTYPE)
        add(tar, "bin/su", data=b"#!setuid", mode=0o4755)
        add(tar, "bin/wall", data=b"#!setgid", mode=0o2755, gid=5)
        add(tar, "bin/ping", data=b"#!capable", pax_headers={
            "SCHILY.xattr.security.capability": CAPABILITY.decode("utf-8", "surrogateescape")})  # fmt: skip
        add(tar, "bin/ping6", tarfile.LNKTYPE, linkname="bin/ping")
        add(tar, "bin/sh", tarfile.SYMTYPE, linkname="su")
        add(tar, "dev/null", tarfile.CHRTYPE, mode=0o666, devmajor=1, devminor=3)
        add(tar, "dev/mmcblk0", tarfile.BLKTYPE, mode=0o660, gid=6, devmajor=179, devminor=0)
        add(tar, "dev/pipe", tarfile.FIFOTYPE, mode=0o600)
        add(tar, "etc/big-owner", data=b"x", uid=123456, gid=654321)
        add(tar, "päckchen/größe 日本 file", data="ümlaut".encode(), uid=1000, gid=1000)
        add(tar, "päckchen/" + "long" * 50, data=b"long name")
        add(tar, "sparse/zeros", data=bytes(8 << 20) + b"end")
        for number in range(files):
            if number % 1000 == 0:
                add(tar, f"many/{number // 1000:03}", tarfile.DIRTYPE)
            data = chance.randbytes(chance.choice((0, 1, 100, 4096, 5000)))
            name = f"many/{number // 1000:03}/{chance.choice(WORDS)}-{number}"
            mode = chance.choice((0o644, 0o600, 0o755, 0o4711, 0o2755))
            add(tar, name, data=data, mode=mode, uid=number % 70000)
            sums[name] = Small(hashlib.sha256(data).hexdigest(), mode, number % 70000)
            if number % 50 == 0:
                add(tar, f"{name}-again", tarfile.LNKTYPE, linkname=name, mode=mode, uid=number % 70000)
                sums[f"{name}-again"] = sums[name]
    return sums


def write(tmp: Path, e2fsprogs: Path, monkeypatch: pytest.MonkeyPatch, files: int, size: int, name: str) -> Path:
    """The image of such a root, with a file put over it."""
    monkeypatch.setattr(filesystems, "EXT4", str(e2fsprogs))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    root = Root(tmp / "root.tar")
    over = Over(root, tmp / "over.tar", EPOCH)
    over.file("/bin/su", b"#!replaced", 0o755)
    over.file("/etc/new/deep/file", b"new")
    over.close()
    with tarfile.open(tmp / "over.tar") as tar:
        tar.getmembers()
        end = tar.offset
    image = tmp / name
    with open(image, "wb") as out:
        out.truncate(START + size)
    findings = Findings()
    archives = [(root.tar, root.end), (tmp / "over.tar", end)]
    filesystems.write_ext4(image, {**PART, "size": size}, archives, len(root.kinds), findings, {})
    findings.stop_if_any()
    return image


def debugfs(e2fsprogs: Path, image: Path, *commands: str) -> str:
    """What debugfs says to commands."""
    text = "".join(f"{command}\n" for command in commands)
    target = f"{image}?offset={START}"
    return subprocess.run(
        [e2fsprogs / "debugfs", "-f", "-", target], input=text, capture_output=True, text=True, check=True
    ).stdout


def small_files(e2fsprogs: Path, image: Path, out: Path) -> dict[str, Small]:
    """All files below ``many``: contents as debugfs writes them out, modes and owners as it lists them.

    (A file's owner is set after its mode when it is written out, which takes set-id bits away.)
    """
    out.mkdir()
    debugfs(e2fsprogs, image, f"rdump /many {out}")
    folders = sorted(path.name for path in (out / "many").iterdir())
    listing = debugfs(e2fsprogs, image, *(f"ls -p /many/{folder}" for folder in folders))
    numbers = iter(folders)
    found: dict[str, Small] = {}
    inodes: dict[str, list[str]] = {}
    for line in listing.splitlines():
        if match := re.fullmatch(r"/(\d+)/(\d+)/(\d+)/(\d+)/([^/]+)/(\d*)/", line):
            inode, mode, owner, _, name, size = match.groups()
            if name == ".":
                folder = next(numbers)
            elif name != "..":
                content = (out / "many" / folder / name).read_bytes()
                assert len(content) == int(size) and mode.startswith("10")
                path = f"many/{folder}/{name}"
                found[path] = Small(hashlib.sha256(content).hexdigest(), int(mode[2:], 8), int(owner))
                inodes.setdefault(inode, []).append(path)
    for paths in inodes.values():
        first = min(paths, key=len)
        assert sorted(paths) == ([first, f"{first}-again"] if int(first.rpartition("-")[2]) % 50 == 0 else [first])
    assert sum(len(files) for _, _, files in os.walk(out / "many")) == len(found)
    return found


@pytest.mark.parametrize("files", [5_000, pytest.param(100_000, marks=pytest.mark.ci)])
def test_a_difficult_root(tmp_path: Path, e2fsprogs: Path, monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    sums = make_root(tmp_path / "root.tar", files)
    image = write(tmp_path, e2fsprogs, monkeypatch, files, 1 << 30, "one.img")
    checked = subprocess.run([e2fsprogs / "e2fsck", "-fn", f"{image}?offset={START}"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout

    def told(path: str) -> str:
        return debugfs(e2fsprogs, image, f'stat "{path}"')

    assert "Mode:  0755" in told("/bin/su") and "Size: 10" in told("/bin/su")
    assert "Mode:  02755" in told("/bin/wall") and re.search(r"User: +0   Group: +5 ", told("/bin/wall"))
    assert "Links: 2" in told("/bin/ping")
    assert told("/bin/ping").split("Inode: ")[1].split()[0] == told("/bin/ping6").split("Inode: ")[1].split()[0]
    value = debugfs(e2fsprogs, image, "ea_get -x /bin/ping security.capability").lower()
    assert CAPABILITY.hex() in value.replace(" ", "")
    assert 'Fast link dest: "su"' in told("/bin/sh")
    assert "Type: character special" in told("/dev/null") and "01:03" in told("/dev/null")
    assert "Type: block special" in told("/dev/mmcblk0") and "179:00" in told("/dev/mmcblk0")
    assert "Type: FIFO" in told("/dev/pipe")
    assert re.search(r"User: +123456   Group: +654321", told("/etc/big-owner"))
    assert re.search(r"User: +1000   Group: +1000 ", told("/päckchen/größe 日本 file"))
    assert "Size: 9" in told("/päckchen/" + "long" * 50)
    assert int(told("/sparse/zeros").split("Blockcount: ")[1].split()[0]) <= 16
    assert "Size: 8388611" in told("/sparse/zeros")
    assert f"mtime: 0x{EPOCH:08x}" in told("/etc/new/deep/file")

    assert small_files(e2fsprogs, image, tmp_path / "out") == sums


def test_twice_is_the_same(tmp_path: Path, e2fsprogs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_root(tmp_path / "root.tar", 200)
    one = write(tmp_path, e2fsprogs, monkeypatch, 200, 64 << 20, "one.img")
    os.utime(tmp_path / "root.tar", (1, 1))
    two = write(tmp_path, e2fsprogs, monkeypatch, 200, 64 << 20, "two.img")
    assert one.read_bytes() == two.read_bytes()


def test_a_root_that_does_not_fit(
    tmp_path: Path, e2fsprogs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        add(tar, "large", data=random.Random(1).randbytes(9 << 20))
    with pytest.raises(SystemExit):
        write(tmp_path, e2fsprogs, monkeypatch, 1, 8 << 20, "small.img")
    assert "root-too-large" in capsys.readouterr().out


def test_what_the_map_leaves_out_nobody_needs(tmp_path: Path, e2fsprogs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image on a card full of other things: the file system is whole, and every file is what it was."""
    sums = make_root(tmp_path / "root.tar", 500)
    image = write(tmp_path, e2fsprogs, monkeypatch, 500, 256 << 20, "one.img")
    size = image.stat().st_size
    with open(image, "rb") as file:
        ranges = bmap.mapped(file.fileno(), size, bmap.ext4_used(file.fileno(), START))
        (tmp_path / "one.bmap").write_bytes(bmap.document(file.fileno(), size, ranges))
    known = read_map(tmp_path / "one.bmap")
    assert known.size == size and known.mapped < size // 2
    card = tmp_path / "card.img"
    with open(image, "rb") as source, open(card, "wb") as out:
        for _ in range(size >> 20):
            out.write(b"\xa5" * (1 << 20))
        for item in known.ranges:
            source.seek(item.start)
            out.seek(item.start)
            out.write(source.read(item.end - item.start))
    checked = subprocess.run([e2fsprogs / "e2fsck", "-fn", f"{card}?offset={START}"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert small_files(e2fsprogs, card, tmp_path / "out") == sums
    subprocess.run(["bmaptool", "copy", "--bmap", tmp_path / "one.bmap", image, tmp_path / "by.img"], check=True,
                   capture_output=True)  # fmt: skip
    assert (tmp_path / "by.img").read_bytes() == image.read_bytes()


def test_what_cannot_be_put_over_a_root(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        for folder in ("etc", "usr", "usr/lib", "dev"):
            add(tar, folder, tarfile.DIRTYPE)
        add(tar, "etc/passwd", tarfile.REGTYPE)
        add(tar, "lib", tarfile.SYMTYPE, linkname="usr/lib")
        add(tar, "dev/null", tarfile.CHRTYPE)
    over = Over(Root(tmp_path / "root.tar"), tmp_path / "over.tar", EPOCH)
    over.folder("/data")
    for file in ("/etc/passwd", "/new/file", "/lib/new", "/lib", "/data/x"):
        assert not over.hindrance(file), file
    assert over.hindrance("/etc") == over.hindrance("/usr/lib") == over.hindrance("/data") == "it is a folder"
    assert over.hindrance("/etc/passwd/x") == over.hindrance("/etc/passwd/x/y") == "/etc/passwd is no folder"
    for place in ("/etc", "/lib", "/mnt", "/lib/mnt", "/data"):
        assert not over.hindrance(place, folder=True), place
    assert over.hindrance("/etc/passwd", folder=True) == over.hindrance("/dev/null", folder=True) == "it is no folder"
    assert over.hindrance("/dev/null/x", folder=True) == "/dev/null is no folder"
    over.close()


def test_links_in_the_root_are_followed_inside(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        add(tar, "usr", tarfile.DIRTYPE)
        add(tar, "usr/lib", tarfile.DIRTYPE)
        add(tar, "lib", tarfile.SYMTYPE, linkname="usr/lib")
        add(tar, "up", tarfile.SYMTYPE, linkname="../../../usr")
        add(tar, "loop", tarfile.SYMTYPE, linkname="loop")
    root = Root(tmp_path / "root.tar")
    over = Over(root, tmp_path / "over.tar", EPOCH)
    over.file("/lib/modules/6.1/a.ko", b"module")
    over.file("/up/file", b"x")
    over.file("/loop/file", b"x")
    over.close()
    with tarfile.open(tmp_path / "over.tar") as tar:
        assert tar.getnames() == ["usr/lib/modules", "usr/lib/modules/6.1", "usr/lib/modules/6.1/a.ko", "usr/file",
                                  "loop", "loop/file"]  # fmt: skip
