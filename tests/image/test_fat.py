# SPDX-License-Identifier: GPL-3.0-or-later
"""A FAT in an image holds its files, whatever the sizes of both are: mtools reads them."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from farm.image.inside import filesystems
from farm.image.inside.report import Findings

START = 4 << 20
FILES = {"config.txt": b"arm_64bit=1\n", "a-long-name.dtb": b"\xd0\x0d\xfe\xed", "overlays/one.dtbo": b"overlay"}


@pytest.mark.parametrize("fat", [20, 70, 96, 300])
@pytest.mark.parametrize("rest", [0, 700])
def test_a_fat_does_not_depend_on_the_size_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fat: int, rest: int
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin:/sbin")
    files = {**FILES, "kernel8.img": random.Random(7).randbytes(3 << 20)}
    part = {"number": 1, "name": "boot", "type": "fat", "start": START, "size": fat << 20, "label": "BOOT",
            "uuid": "6f1f-1c3e"}  # fmt: skip
    image = tmp_path / "image"
    with open(image, "xb") as file:
        file.truncate(START + (fat + rest << 20))
        file.write(b"table")
        file.seek(START + (fat << 20))
        file.write(b"next")
    findings = Findings()
    filesystems.write_fat(image, part, files, findings, 1700000000)
    for name, data in files.items():
        read = subprocess.run(["mtype", "-i", f"{image}@@{START}", f"::/{name}"], capture_output=True, check=True)
        assert read.stdout == data
    with open(image, "rb") as file:
        assert file.read(5) == b"table"
        file.seek(START + (fat << 20))
        assert file.read(4) == b"next"
    assert image.stat().st_blocks * 512 < 16 << 20, "what is empty is a hole"
    assert {entry.name for entry in tmp_path.iterdir()} == {"image", "fat"}
