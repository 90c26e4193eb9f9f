# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm image write``: what is on the card afterwards, and what it refuses."""

from __future__ import annotations

import json
import lzma
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from farm.image.blockmap import read_map
from farm.image.burn import burn, open_source
from farm.image.device import examine, refuse
from farm.image.inside import bmap
from farm.spec.problem import FarmError

MIB = 1 << 20


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image of 8 MiB with two parts of data, and its map."""
    path = tmp_path / "card.img"
    with open(path, "wb") as out:
        out.truncate(8 * MIB)
        for at in (0, 5 * MIB):
            out.seek(at)
            out.write(random.Random(at).randbytes(300_000))
    with open(path, "rb") as file:
        ranges = bmap.mapped(file.fileno(), 8 * MIB, [(7 * MIB, 8192)])
        (tmp_path / "card.bmap").write_bytes(bmap.document(file.fileno(), 8 * MIB, ranges))
    return path


def farm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Calls ``farm image write``."""
    return subprocess.run(
        [sys.executable, "-m", "farm", "image", "write", *map(str, words)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("packed", ["", ".zst", ".xz"])
def test_an_image_is_written(image: Path, tmp_path: Path, packed: str) -> None:
    source = image
    if packed:
        pack = zstandard.ZstdCompressor().compress if packed == ".zst" else lzma.compress
        source = Path(f"{image}{packed}")
        source.write_bytes(pack(image.read_bytes()))
    ran = farm(source, tmp_path / "target", "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["verified"] and told["written"] < MIB
    assert (tmp_path / "target").read_bytes() == image.read_bytes()


def test_blocks_in_use_are_written_even_when_they_are_zero(image: Path, tmp_path: Path) -> None:
    known = read_map(tmp_path / "card.bmap")
    assert any(item.start == 7 * MIB and item.end == 7 * MIB + 8192 for item in known.ranges)


def test_the_map_of_an_image_of_terabytes(tmp_path: Path) -> None:
    """It costs what is in the image, not what the image is large."""
    path = tmp_path / "large.img"
    with open(path, "w+b") as out:
        out.truncate(8 << 40)
        for at in (0, 1 << 40, (8 << 40) - 4096):
            os.pwrite(out.fileno(), b"x" * 10, at)
        used = [(4096, 5000), (0, 1), (2 << 40, 4096), (100, 0), ((2 << 40) + 4096, 1 << 30)]
        assert bmap.mapped(out.fileno(), 8 << 40, used) == [
            (0, 2), (1 << 28, 1 << 28), (2 << 28, (2 << 28) + (1 << 18)), ((8 << 28) - 1, (8 << 28) - 1)
        ]  # fmt: skip


def test_it_does_not_overwrite_without_being_told(image: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"precious")
    ran = farm(image, tmp_path / "target")
    assert ran.returncode == 1 and "[not-confirmed]" in ran.stderr
    assert (tmp_path / "target").read_bytes() == b"precious"
    assert farm(image, tmp_path / "target", "--yes").returncode == 0


@pytest.mark.parametrize("fault", ["content", "cut", "map", "archive", "no-map"])
def test_bad_images(image: Path, tmp_path: Path, fault: str) -> None:
    source, code = image, "bad-image"
    if fault == "content":
        data = bytearray(image.read_bytes())
        data[5 * MIB + 7] ^= 1
        image.write_bytes(data)
    elif fault == "cut":
        os.truncate(image, 5 * MIB)
        code = "bad-bmap"
    elif fault == "map":
        text = (tmp_path / "card.bmap").read_text()
        (tmp_path / "card.bmap").write_text(text.replace("<BlockSize> 4096", "<BlockSize> 8192"))
        code = "bad-bmap"
    else:
        source = Path(f"{image}.zst")
        data = bytearray(zstandard.ZstdCompressor().compress(image.read_bytes()))
        source.write_bytes(data[: len(data) // 2])
        if fault == "no-map":
            (tmp_path / "card.bmap").unlink()
            code = "no-size"
    (tmp_path / "target").write_bytes(b"precious")
    ran = farm(source, tmp_path / "target", "--yes")
    assert ran.returncode == 1 and f"[{code}]" in ran.stderr, ran.stderr
    assert (tmp_path / "target").read_bytes() == b"precious" and not list(tmp_path.glob(".*"))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_full_disk(image: Path, tmp_path: Path) -> None:
    """A file that was there stays as it was, and nothing else is left."""
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "farm-test", small], check=True)
    try:
        (small / "target").write_bytes(b"precious")
        ran = farm(image, small / "target", "--yes")
        left = [path.name for path in small.iterdir()]
        kept = (small / "target").read_bytes()
    finally:
        subprocess.run(["umount", small], check=True)
    assert ran.returncode == 1 and "[disk-full]" in ran.stderr, ran.stderr
    assert left == ["target"] and kept == b"precious"


def test_the_image_itself_is_no_target(image: Path, tmp_path: Path) -> None:
    before = image.read_bytes()
    (tmp_path / "link").symlink_to(image)
    for target in (image, tmp_path / "link"):
        ran = farm(image, target, "--yes")
        assert ran.returncode == 1 and "[bad-target]" in ran.stderr, ran.stderr
    assert image.read_bytes() == before


def test_a_link_leads_to_the_target(image: Path, tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    assert farm(image, tmp_path / "link", "--yes").returncode == 0
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == image.read_bytes()


def test_what_is_read_back_counts(image: Path, tmp_path: Path) -> None:
    """A card that forgets: one byte changes between writing and reading back."""
    target = tmp_path / "target"

    def forget(phase: str, done: int, total: int) -> None:
        if phase == "writing" and done == total:
            with open(tmp_path / ".target.part", "r+b") as card:
                card.seek(5 * MIB)
                card.write(b"\0\0\0\0")

    with pytest.raises(FarmError) as failure:
        burn(open_source(image), target, forget)
    assert failure.value.code == "not-the-same"


def kernel(tmp_path: Path, mounts: str = "", swaps: str = "") -> tuple[Path, Path]:
    """A stand-in for /sys and /proc with a card of 64 MiB, 179:0, that has one partition, 179:1."""
    sys_folder, proc = tmp_path / "sys", tmp_path / "proc"
    card = sys_folder / "devices/mmc/block/mmcblk0"
    (card / "device").mkdir(parents=True)
    (card / "mmcblk0p1/holders").mkdir(parents=True)
    (sys_folder / "dev/block").mkdir(parents=True)
    (sys_folder / "dev/block/179:0").symlink_to(card)
    (sys_folder / "dev/block/179:1").symlink_to(card / "mmcblk0p1")
    for path, value in {"size": "131072", "removable": "1", "dev": "179:0", "device/name": "SD64"}.items():
        (card / path).write_text(f"{value}\n")
    for path, value in {"size": "65536", "dev": "179:1", "partition": "1"}.items():
        (card / "mmcblk0p1" / path).write_text(f"{value}\n")
    (proc / "self").mkdir(parents=True)
    (proc / "self/mountinfo").write_text(mounts)
    (proc / "swaps").write_text("Filename Type Size Used Priority\n" + swaps)
    return sys_folder, proc


def test_a_card_is_shown(tmp_path: Path) -> None:
    device = examine(Path("/dev/mmcblk0"), *kernel(tmp_path), number=(179, 0))
    assert (device.size, device.model, device.removable) == (64 * MIB, "SD64", True)
    assert device.holds == ("mmcblk0p1: 32 MiB",) and not refuse(device, 64 * MIB)
    assert [p.code for p in refuse(device, 65 * MIB)] == ["device-too-small"]


@pytest.mark.parametrize(
    ("mounts", "swaps", "holder"),
    [
        ("36 35 179:1 / /mnt rw - ext4 /dev/mmcblk0p1 rw\n", "", ""),
        ("36 35 179:0 / / rw - ext4 /dev/root rw\n", "", ""),
        ("", "/dev/mmcblk0p1 partition 1 0 -2\n", ""),
        ("", "", "dm-0"),
    ],
)
def test_a_disk_in_use_is_refused(tmp_path: Path, mounts: str, swaps: str, holder: str) -> None:
    sys_folder, proc = kernel(tmp_path, mounts, swaps)
    if holder:
        (sys_folder / "devices/mmc/block/mmcblk0/mmcblk0p1/holders" / holder).mkdir()
    device = examine(Path("/dev/mmcblk0"), sys_folder, proc, number=(179, 0))
    assert [p.code for p in refuse(device, MIB)] == ["device-in-use"]


def test_a_partition_is_no_disk(tmp_path: Path) -> None:
    with pytest.raises(FarmError) as failure:
        examine(Path("/dev/mmcblk0p1"), *kernel(tmp_path), number=(179, 1))
    assert failure.value.code == "not-a-disk" and "mmcblk0" in failure.value.problems[0].hint
