# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm image verify``: what the lists beside an image say, and who signed them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from farm.image.bootfiles import check_boot_files
from farm.image.inside import table
from farm.image.read import read_board

MIB = 1 << 20
BOARD = """\
platform: linux/arm64
partitions: [{name: root, type: ext4, size: {{ .Values.size | default "6M" }}, mount: /}]
kernel: {package: kernel/linux}
boot: {extlinux: {}}
root: {packages: [app/hello]}
"""


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """An image with an ext4 at 4 MiB, its lists of digests, their signatures, and its board file in ``images``."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images/card.yaml").write_text(BOARD)
    path = tmp_path / "card.img"
    entry = table.Entry("ext4", 8192, 12288, "root", False, "6f1f1c3e-0f5c-4d3c-9d39-2d7f9a5f4b11")
    with open(path, "w+b") as out:
        out.truncate(10 * MIB)
        os.pwrite(out.fileno(), table.mbr([entry], 1), 0)
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={4 * MIB}", path, "6144k"]
    subprocess.run(command, check=True, capture_output=True)
    listed(tmp_path)
    return path


def listed(folder: Path) -> None:
    """Writes the lists and signs them."""
    from farm.store.keys import Keyring
    from farm.store.signature import sign

    keys = Keyring(folder)
    if not (folder / "keys/test.key").exists():
        keys.new("test")
    for algorithm in ("sha256", "sha512"):
        digest = hashlib.new(algorithm, (folder / "card.img").read_bytes()).hexdigest()
        lines = f"{digest}  card.img\n".encode()
        (folder / f"card.{algorithm}").write_bytes(lines)
        signed = sign(lines, keys.secret("test", lambda: ""), f"file:card.{algorithm}")
        (folder / f"card.{algorithm}.minisig").write_bytes(signed)


def verify(card: Path, *words: str | Path) -> tuple[int, dict[str, Any], str]:
    """Status, what ``--json`` says, and standard error."""
    command = [sys.executable, "-m", "farm", "image", "verify", str(card), "--json", *map(str, words)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=card.parent, check=False)
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.returncode, json.loads(ran.stdout or "{}"), ran.stderr


def codes(said: dict[str, Any], severity: str = "error") -> list[str]:
    """Codes of the problems."""
    return [problem["code"] for problem in said["problems"] if problem["severity"] == severity]


def test_all_is_right(card: Path) -> None:
    status, said, _ = verify(card, "--public-key", card.parent / "keys/test.pub")
    assert status == 0 and not said["problems"] and len(said["digests"]) == 4


def test_an_image_made_with_values(card: Path) -> None:
    (card.parent / "images/card.yaml").write_text(BOARD.replace('"6M"', '"5M"'))
    (card.parent / "six.yaml").write_text("size: 6M\n")
    assert codes(verify(card)[1]) == ["wrong-partition"]
    assert verify(card, "--values", "six.yaml")[0] == 0


@pytest.mark.parametrize("name", ["card.evil.img", "card.copy"])
def test_an_image_that_no_list_names_is_not_right(card: Path, name: str) -> None:
    """It lies beside signed lists, but they are of another file."""
    other = card.rename(card.with_name(name))
    status, said, _ = verify(other, "--public-key", card.parent / "keys/test.pub")
    assert status == 1 and codes(said) == ["not-listed", "not-listed"]


def test_without_lists(card: Path) -> None:
    for path in card.parent.glob("card.sha*"):
        path.unlink()
    status, said, _ = verify(card)
    assert status == 0 and codes(said, "warning") == ["no-digests"]
    status, said, _ = verify(card, "--public-key", card.parent / "keys/test.pub")
    assert status == 1 and set(codes(said)) == {"no-digests"}


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("card.sha256", b"\xff\xfe\n", "bad-digests"),
        ("card.sha256", b"0" * 64 + b"  ../card.img\n", "bad-digests"),
        ("card.sha256.minisig", b"nothing", "bad-signature"),
        ("card.sha256.minisig", b"\xff\n\xfe\n", "bad-signature"),
    ],
)
def test_damaged_lists_and_signatures(card: Path, name: str, content: bytes, code: str) -> None:
    (card.parent / name).write_bytes(content)
    status, said, _ = verify(card, "--public-key", card.parent / "keys/test.pub")
    assert status == 1 and code in codes(said)


def test_all_that_is_wrong_is_told_at_once(card: Path) -> None:
    with open(card, "r+b") as image:
        os.pwrite(image.fileno(), b"\xff" * 64, 4 * MIB + 1024)
        os.pwrite(image.fileno(), b"\x53\xef", 4 * MIB + 1080)
    (card.parent / "card.sha512.minisig").unlink()
    status, said, _ = verify(card, "--public-key", card.parent / "keys/test.pub")
    assert status == 1
    assert set(codes(said)) == {"bad-file-system", "digest-mismatch", "no-signature"}
    told = next(problem["message"] for problem in said["problems"] if problem["code"] == "bad-file-system")
    assert "[" not in told and "superblock" in told


@pytest.mark.parametrize("tool", ["e2fsck"])
def test_a_missing_tool_is_said(card: Path, tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (card.parent / "bin").mkdir()
    monkeypatch.setenv("PATH", str(card.parent / "bin"))
    status, said, _ = verify(card)
    assert status == 0 and codes(said, "warning") == ["tool-missing"]


WITH_FAT = """\
platform: linux/arm64
partitions:
- {name: boot, type: fat, size: 4M}
- {name: root, type: ext4, size: 6M, mount: /}
firmware: [{package: firmware/raspi, files: ["usr/lib/start[0-9].elf"], partition: boot}]
kernel: {package: kernel/linux}
device-tree: vendor/board.dtb
initrd: {busybox: root/tiny}
boot:
  partition: boot
  boot-scr: [boot]
root: {packages: [app/hello]}
"""


def test_boot_files_of_a_fat(tmp_path: Path) -> None:
    """All are there, then each is missing, and has its place; a script that is damaged is found."""
    from farm.image.inside.content import _script, script_text

    (tmp_path / "card.yaml").write_text(WITH_FAT)
    board = read_board(tmp_path / "card.yaml", {})
    script = _script(script_text("root=UUID=1", ["boot"]), {"platform": "linux/arm64", "epoch": 1, "name": "card"})
    image = tmp_path / "card.img"
    with open(image, "wb") as out:
        out.truncate(16 * MIB)
    target = ["-i", f"{image}@@{4 * MIB}"]
    subprocess.run(["mformat", *target, "-T", "8192", "-h", "16", "-s", "32", "::"], check=True)
    subprocess.run(["mmd", *target, "::/dtb", "::/dtb/vendor"], check=True)
    files = {"vmlinuz": 6, "initrd.img": 8, "dtb/vendor/board.dtb": 7, "boot.scr": 11, "start4.elf": 5}
    for name in files:
        (tmp_path / "file").write_bytes(script if name == "boot.scr" else name.encode())
        subprocess.run(["mcopy", *target, tmp_path / "file", f"::/{name}"], check=True)

    def found() -> list[tuple[str, int]]:
        with open(image, "rb") as file:
            problems = check_boot_files(file.fileno(), board)
            return [(problem.code, problem.place.line if problem.place else 0) for problem in problems]

    assert found() == []
    (tmp_path / "file").write_bytes(script[:-3] + b"xyz")
    subprocess.run(["mcopy", "-o", *target, tmp_path / "file", "::/boot.scr"], check=True)
    assert found() == [("bad-script", 11)]
    lines = []
    for name, line in files.items():
        subprocess.run(["mdel", *target, f"::/{name}"], check=True)
        lines.append(line)
        assert ("missing-firmware" if name == "start4.elf" else "missing-file", line) in found()
    assert sorted(at for _, at in found()) == sorted(lines)
