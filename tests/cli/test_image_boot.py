# SPDX-License-Identifier: GPL-3.0-or-later
"""All boards from one command line: twice the same bytes, and each boots in QEMU, with its root grown.

Needs Debian's archive and minutes: `pytest -m boot -n 0 tests/cli/test_image_boot.py`. Logs, screenshots and
reports are left in the folder that FARM_ARTIFACTS names; FARM_STORE may name a store to go on from.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = [pytest.mark.boot, pytest.mark.slow, pytest.mark.xdist_group("boot")]

CHECKOUT = Path(__file__).parents[2]
BOARDS = ("orangepi-pc", "bananapi-m2-ultra", "rpi4", "pine64-plus")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where stores and images are."""
    yield tmp_path_factory.mktemp("boards")


def farm(folder: Path, *words: str, limit: float = 3600) -> subprocess.CompletedProcess[str]:
    """Calls the farm in the checkout."""
    env = {**os.environ, "FARM_STORE": os.environ.get("FARM_STORE", str(folder / "store"))}
    command = [sys.executable, "-m", "farm", *words]
    ran = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=limit, check=False)
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran


@pytest.fixture(scope="module")
def images(folder: Path) -> Path:
    """The four images, made from one command line."""
    ran = farm(folder, "image", "build", *BOARDS, "--destination", str(folder / "out"), "--plain")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder / "out"


@pytest.mark.parametrize("board", BOARDS)
def test_an_image_is_whole(folder: Path, images: Path, board: str) -> None:
    ran = farm(folder, "image", "verify", str(images / f"{board}.img"), "--json")
    told = json.loads(ran.stdout)
    assert ran.returncode == 0 and told["problems"] == [], told
    assert len(told["digests"]) == 6
    document = json.loads((images / f"{board}.cdx.json").read_text())
    with open(images / f"{board}.img", "rb") as image:
        digest = hashlib.file_digest(image, "sha256").hexdigest()
    assert document["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert any(part["name"].startswith("u-boot") or part["name"] == "raspi" for part in document["components"])


@pytest.mark.parametrize("board", BOARDS)
def test_a_board_boots(folder: Path, images: Path, board: str) -> None:
    artifacts = Path(os.environ.get("FARM_ARTIFACTS", folder / "artifacts")) / board
    ran = farm(folder, "image", "test", board, "--timeout", "15m", "--artifacts", str(artifacts), "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    trial = json.loads(ran.stdout)[0]
    assert trial["ok"] and {"root has grown to the card", "machine id"} <= {check["name"] for check in trial["checks"]}
    assert "farm: first boot done" in (artifacts / f"{board}.console.log").read_text(errors="replace")
    suite = ElementTree.parse(artifacts / "junit.xml").find("testsuite")
    assert suite is not None and suite.get("failures") == "0"


def test_an_unknown_device_tree_has_a_place(folder: Path, images: Path, tmp_path: Path) -> None:
    """What only the packages can tell is told with file and line, too, and no image is left."""
    text = (CHECKOUT / "images/orangepi-pc.yaml").read_text()
    text = text.replace("trees: [../specs/boards]", f"trees: [{CHECKOUT}/specs/boards]")
    text = text.replace("sun8i-h3-orangepi-pc.dtb", "sun8i-h3-orangpi-pc.dtb").replace("sunxi_wdt", "sunxi_watchdog")
    (tmp_path / "odd.yaml").write_text(text)
    ran = farm(
        folder, "image", "build", "odd", "--boards", str(tmp_path), "--destination", str(tmp_path / "out"), "--plain"
    )
    lines = text.splitlines()
    tree = next(n for n, line in enumerate(lines, 1) if line.startswith("device-tree:"))
    assert ran.returncode == 1
    assert f"{tmp_path}/odd.yaml:{tree}:" in ran.stderr and "did you mean sun8i-h3-orangepi-pc.dtb" in ran.stderr
    assert "[unknown-module]" in ran.stderr
    assert not list((tmp_path / "out").glob("odd*"))
