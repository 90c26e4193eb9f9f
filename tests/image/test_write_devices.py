# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm image write`` onto block devices: loop devices, which can be made to lie, and a RAM disk of the kernel's."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.image.burn import burn, open_source
from farm.image.inside import bmap, table
from farm.spec.problem import FarmError

MIB = 1 << 20
SIZE = 24 * MIB
PART = (4 * MIB, 12 * MIB)
"""Where the image's only partition lies, and its size."""

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]


@contextlib.contextmanager
def looped(file: Path, *options: str) -> Iterator[Path]:
    """A loop device over a file. Skips where there are none."""
    made = subprocess.run(["losetup", "--find", "--show", *options, file], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no loop devices here: {made.stderr.strip()}")
    try:
        yield Path(made.stdout.strip())
    finally:
        subprocess.run(["losetup", "--detach", made.stdout.strip()], check=True)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image with a partition table, data in some places, and its map."""
    path = tmp_path / "card.img"
    entry = table.Entry("ext4", PART[0] // 512, PART[1] // 512, "root", True, "6f1f1c3e-0f5c-4d3c-9d39-2d7f9a5f4b11")
    with open(path, "w+b") as out:
        out.truncate(SIZE)
        os.pwrite(out.fileno(), table.mbr([entry], 0x1234ABCD), 0)
        for at in (8192, PART[0], 15 * MIB):
            os.pwrite(out.fileno(), random.Random(at).randbytes(2 * MIB), at)
        ranges = bmap.mapped(out.fileno(), SIZE, [])
        (tmp_path / "card.bmap").write_bytes(bmap.document(out.fileno(), SIZE, ranges))
    return path


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A file that stands for a card full of other things."""
    path = tmp_path / "backing"
    path.write_bytes(b"\xa5" * (32 * MIB))
    return path


def farm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Calls ``farm image write``."""
    command = [sys.executable, "-m", "farm", "image", "write", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def is_written(card: Path, image: Path) -> bool:
    """Whether what the map names is on the card, and all else is what it was."""
    there, wanted = card.read_bytes(), image.read_bytes()
    for item in open_source(image).map.ranges:  # type: ignore[union-attr]
        if there[item.start : item.end] != wanted[item.start : item.end]:
            return False
        there = there[: item.start] + b"\xa5" * (item.end - item.start) + there[item.end :]
    return not there.strip(b"\xa5")


def test_a_card_is_shown_written_and_read_back(image: Path, card: Path) -> None:
    with looped(card) as device:
        refused = farm(image, device)
        assert refused.returncode == 1 and "[not-confirmed]" in refused.stderr
        assert f"{device}: " in refused.stderr and "32.0 MiB" in refused.stderr
        assert card.read_bytes() == b"\xa5" * (32 * MIB)
        ran = farm(image, device, "--yes")
        assert ran.returncode == 0, ran.stderr
        assert "read back, all is right" in ran.stdout
    assert is_written(card, image)


def test_a_person_is_asked_and_sees_a_bar(image: Path, card: Path) -> None:
    with looped(card) as device:
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "farm", "image", "write", str(image), str(device)])
        said = b""
        with contextlib.suppress(OSError):
            while data := os.read(terminal, 4096):
                if b"?" in data and b"?" not in said:
                    os.write(terminal, b"y\n")
                said += data
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        os.close(terminal)
    text = said.decode()
    assert f"Overwrite all of {device}?" in text
    assert f"writing [{'#' * 40}]" in text and f"reading back [{'#' * 40}]" in text
    assert is_written(card, image)


def test_no_is_no(image: Path, card: Path) -> None:
    with looped(card) as device:
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "farm", "image", "write", str(image), str(device)])
        with contextlib.suppress(OSError):
            answered = False
            while data := os.read(terminal, 4096):
                if b"?" in data and not answered:
                    answered = bool(os.write(terminal, b"\n"))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        os.close(terminal)
    assert card.read_bytes() == b"\xa5" * (32 * MIB)


def test_a_mounted_disk_is_refused(image: Path, card: Path, tmp_path: Path) -> None:
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", card], check=True)
    before = card.read_bytes()
    (tmp_path / "mnt").mkdir()
    with looped(card) as device:
        subprocess.run(["mount", "-o", "ro,noload", device, tmp_path / "mnt"], check=True)
        try:
            ran = farm(image, device, "--yes")
            with pytest.raises(FarmError) as failure:
                burn(open_source(image), device, lambda *_: None)
        finally:
            subprocess.run(["umount", tmp_path / "mnt"], check=True)
    assert ran.returncode == 1 and "[device-in-use]" in ran.stderr
    assert f"is mounted at {tmp_path / 'mnt'}" in ran.stderr
    assert failure.value.code == "device-in-use", "the kernel refuses, too"
    assert card.read_bytes() == before


def test_a_disk_with_a_mounted_partition_is_refused(image: Path, card: Path, tmp_path: Path) -> None:
    with looped(card) as device:
        assert farm(image, device, "--yes").returncode == 0
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={PART[0]}", card, f"{PART[1] // 1024}k"],
                   check=True)  # fmt: skip
    before = card.read_bytes()
    (tmp_path / "mnt").mkdir()
    with looped(card, "--partscan") as device:
        listed = Path("/sys/block", device.name, f"{device.name}p1")
        if not listed.exists():
            pytest.skip("this kernel's loop devices have no partitions")
        node = tmp_path / "part"
        major, minor = map(int, (listed / "dev").read_text().split(":"))
        os.mknod(node, 0o600 | 0o060000, os.makedev(major, minor))
        part = farm(image, node, "--yes")
        subprocess.run(["mount", "-o", "ro,noload", node, tmp_path / "mnt"], check=True)
        try:
            whole = farm(image, device, "--yes")
        finally:
            subprocess.run(["umount", tmp_path / "mnt"], check=True)
    assert part.returncode == 1 and "[not-a-disk]" in part.stderr and f"/dev/{device.name}" in part.stderr
    assert whole.returncode == 1 and f"{device.name}p1 is mounted at" in whole.stderr
    assert f"{device.name}p1: 12 MiB" in whole.stderr
    assert card.read_bytes() == before


def test_the_system_disk_is_refused(image: Path) -> None:
    """Nothing could be written in any case: nobody says yes."""
    number = Path("/").stat().st_dev
    major, minor = os.major(number), os.minor(number)
    place = Path(f"/sys/dev/block/{major}:{minor}").resolve()
    if not place.is_dir():
        pytest.skip("the root of this host lies on no disk")
    disk = place.parent if (place / "partition").exists() else place
    if not Path("/dev", disk.name).is_block_device():
        pytest.skip("the root's disk has no node here")
    ran = farm(image, Path("/dev", disk.name))
    assert ran.returncode == 1 and "[device-in-use]" in ran.stderr


def test_small_locked_and_held_cards(image: Path, card: Path) -> None:
    with looped(card, "--read-only") as device:
        ran = farm(image, device, "--yes")
        assert ran.returncode == 1 and "[device-read-only]" in ran.stderr
    with looped(card) as device:
        held = os.open(device, os.O_RDWR | os.O_EXCL)
        try:
            ran = farm(image, device, "--yes")
        finally:
            os.close(held)
        assert ran.returncode == 1 and "[device-in-use]" in ran.stderr
    with looped(card, "--sizelimit", str(16 * MIB)) as device:
        ran = farm(image, device, "--yes")
        assert ran.returncode == 1 and "[device-too-small]" in ran.stderr
    assert card.read_bytes() == b"\xa5" * (32 * MIB)


def test_a_card_that_is_smaller_than_it_says(image: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "farm-test", small], check=True)
    try:
        with open(small / "backing", "wb") as out:
            out.truncate(32 * MIB)
        with looped(small / "backing") as device:
            ran = farm(image, device, "--yes")
    finally:
        subprocess.run(["umount", small], check=True)
    assert ran.returncode == 1 and ("[write-failed]" in ran.stderr or "[disk-full]" in ran.stderr), ran.stderr
    assert "all is right" not in ran.stdout


def test_a_card_that_forgets(image: Path, card: Path) -> None:
    """The card changes behind the kernel's back: it is the card that is read back, not the kernel's memory of it."""

    def forget(phase: str, done: int, _total: int) -> None:
        if phase == "reading back" and done <= MIB:
            with open(card, "r+b") as out:
                out.seek(15 * MIB + 4096)
                out.write(b"?")

    with looped(card) as device, pytest.raises(FarmError) as failure:
        burn(open_source(image), device, forget)
    assert failure.value.code == "not-the-same"


def test_a_card_that_cannot_be_read(image: Path, card: Path) -> None:
    def lose(phase: str, done: int, _total: int) -> None:
        if phase == "reading back" and done <= MIB:
            os.truncate(card, 10 * MIB)

    with looped(card) as device, pytest.raises(FarmError) as failure:
        burn(open_source(image), device, lose)
    assert failure.value.code in ("read-back-failed", "not-the-same")


def test_killed_while_writing(image: Path, card: Path) -> None:
    """The card is half-written, of course; it is free, and the next time it is right."""
    with looped(card) as device:
        for delay in (0.1, 0.3, 0.4):
            command = [sys.executable, "-m", "farm", "image", "write", str(image), str(device), "--yes"]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                time.sleep(delay)
                process.send_signal(signal.SIGKILL)
        assert image.stat().st_size == SIZE
        ran = farm(image, device, "--yes")
        assert ran.returncode == 0, ran.stderr
    assert is_written(card, image)


def test_a_ram_disk_of_the_kernels(image: Path, tmp_path: Path) -> None:
    control = Path("/sys/class/zram-control/hot_add")
    if not control.exists():
        pytest.skip("this kernel has no zram")
    number = int(control.read_text())
    disk = Path(f"/sys/block/zram{number}")
    try:
        (disk / "disksize").write_text("32M")
        node = tmp_path / "zram"
        major, minor = map(int, (disk / "dev").read_text().split(":"))
        os.mknod(node, 0o600 | 0o060000, os.makedev(major, minor))
        ran = farm(image, node, "--yes")
        assert ran.returncode == 0, ran.stderr
        with open(node, "rb") as written:
            assert written.read(SIZE) == image.read_bytes()
        (disk / "reset").write_text("1")
        (disk / "mem_limit").write_text("1M")
        (disk / "disksize").write_text("32M")
        full = farm(image, node, "--yes")
        assert full.returncode == 1 and ("[write-failed]" in full.stderr or "[disk-full]" in full.stderr), full.stderr
    finally:
        (disk / "reset").write_text("1")
        Path("/sys/class/zram-control/hot_remove").write_text(str(number))
