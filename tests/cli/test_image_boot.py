# SPDX-License-Identifier: GPL-3.0-or-later
"""All boards from one command line: twice the same bytes, and each boots in QEMU, with its root grown.

Needs Debian's archive: `pytest -m ci tests/cli/test_image_boot.py`. Consoles' logs, screenshots and reports are left in
FARM_TEST_ARTIFACTS, else in pytest's folder; FARM_TEST_STORE names a store to go on from.
What it costs: docs/images.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from subprocess import DEVNULL
from xml.etree import ElementTree

import pytest

from farm.spec.platform import host_platform

CI = pytest.mark.ci
CHECKOUT = Path(__file__).parents[2]
BOARDS = ("orangepi-pc", "bananapi-m2-ultra", "rpi4", "pine64-plus")
BOOTED = (*BOARDS, "bananapi")
USUAL = {"kernel", "root is mounted", "root has grown to the card", "machine id", "first boot is over", "host name"}
ONLINE = {"network", "devel/tcc is installed from our wagon", "the compiler runs"}
WHOLE = {"rpi4": "arm64", "pine64-plus": "arm64", "orangepi-pc": "armv7", "bananapi-m2-ultra": "armv7"}
"""Board → value file of specs/mfs: boards that boot with all of Macaroni From Scratch, too."""

pytestmark = [
    pytest.mark.boot,
    pytest.mark.root,
    pytest.mark.xdist_group("boot"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(host_platform() != "linux/amd64", reason="its cross compilers are amd64's"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where images and the store are; the store, which is large, is removed at the end."""
    place = tmp_path_factory.mktemp("boards")
    yield place
    if (place / "store").exists() and str(place) not in Path("/proc/mounts").read_text():
        shutil.rmtree(place / "store", ignore_errors=True)


def environment(folder: Path) -> dict[str, str]:
    """The environment of a farm with the tests' store."""
    return {**os.environ, "FARM_STORE": os.environ.get("FARM_TEST_STORE", str(folder / "store"))}


def farm(folder: Path, *words: str, cwd: Path = CHECKOUT, limit: float = 3600) -> subprocess.CompletedProcess[str]:
    """Calls the farm in a checkout."""
    command = [sys.executable, "-m", "farm", *words]
    env = {**environment(folder), "PYTHONPATH": str(CHECKOUT)}
    ran = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=limit, check=False)
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran


def artifacts(folder: Path) -> Path:
    """Where logs are left."""
    return Path(os.environ.get("FARM_TEST_ARTIFACTS", folder / "artifacts"))


def sha256(path: Path) -> str:
    """The sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@pytest.fixture(scope="module")
def images(folder: Path) -> Path:
    """The four images, made from one command line."""
    ran = farm(folder, "image", "build", *BOARDS, "--destination", str(folder / "out"), "--plain")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder / "out"


@CI
@pytest.mark.parametrize("board", BOARDS)
def test_an_image_is_whole(folder: Path, images: Path, board: str) -> None:
    ran = farm(folder, "image", "verify", str(images / f"{board}.img"), "--json")
    told = json.loads(ran.stdout)
    assert ran.returncode == 0 and told["problems"] == [], told
    assert len(told["digests"]) == 6
    document = json.loads((images / f"{board}.cdx.json").read_text())
    digest = sha256(images / f"{board}.img")
    assert document["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert any(part["name"].startswith("u-boot") or part["name"] == "raspi" for part in document["components"])


@CI
def test_images_made_twice_are_the_same(folder: Path, images: Path) -> None:
    """In a checkout at another path, with tools that are another package: so no image is taken from the store."""
    other = folder / "another" / "longer place"
    for name in ("images", "specs"):
        shutil.copytree(CHECKOUT / name, other / name, symlinks=True)
    tools = other / "specs/boards/tools/image/build.yaml"
    tools.write_text(tools.read_text() + "- echo another layer, another key >/opt/another\n")
    ran = farm(folder, "image", "build", *BOARDS, "--destination", str(other / "out"), "--json", cwd=other)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr
    made = {file.name for file in (other / "out").iterdir() if file.suffix in (".img", ".zst", ".bmap")}
    assert made == {f"{board}{end}" for board in BOARDS for end in (".img", ".img.zst", ".bmap")}
    ended = [event for line in ran.stdout.splitlines() if (event := json.loads(line))["event"] == "node-finished"]
    anew = {event["node"] for event in ended if event["status"] == "ok"}
    # A store to go on from can have compressed the same bytes before.
    ends = ("",) if "FARM_TEST_STORE" in os.environ else ("", ":zst")
    assert anew >= {f"image/{board}{end}" for board in BOARDS for end in ends}
    for name in made:
        assert sha256(images / name) == sha256(other / "out" / name), name


@CI
@pytest.mark.parametrize("board", BOOTED)
def test_a_board_boots(folder: Path, board: str) -> None:
    place = artifacts(folder) / board
    ran = farm(folder, "image", "test", board, "--timeout", "15m", "--artifacts", str(place), "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    trial = json.loads(ran.stdout)[0]
    checks = {check["name"]: check["skipped"] for check in trial["checks"]}
    assert trial["ok"] and trial["checks"] and set(checks) >= USUAL
    assert set(checks) >= ONLINE and not any(checks.values())
    if board == "rpi4":
        assert "/boot/firmware is mounted" in checks
        assert trial["screenshot"] and (place / "rpi4.png").read_bytes().startswith(b"\x89PNG")
    assert "farm: first boot done" in (place / f"{board}.console.log").read_text(errors="replace")
    suite = ElementTree.parse(place / "junit.xml").find("testsuite")
    assert suite is not None and suite.get("failures") == "0"


@CI
def test_a_raspberry_pi_boots_through_u_boot(folder: Path) -> None:
    """Its firmware starts U-Boot, which reads extlinux.conf, kernel and initial RAM disk from the image's FAT."""
    values = ["--values", "images/values/u-boot.yaml"]
    place = artifacts(folder) / "rpi4-u-boot"
    ran = farm(folder, "image", "test", "rpi4", *values, "--timeout", "15m", "--artifacts", str(place), "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    trial = json.loads(ran.stdout)[0]
    assert trial["ok"] and {check["name"] for check in trial["checks"]} >= USUAL | ONLINE
    assert "(u-boot.bin, bcm2711-rpi-4-b.dtb)" in trial["way"]
    console = (place / "rpi4.console.log").read_text(errors="replace")
    assert "Found /extlinux/extlinux.conf" in console and "farm: first boot done" in console


@pytest.mark.slow
@pytest.mark.parametrize("board", WHOLE)
def test_a_board_boots_with_the_whole_system(folder: Path, board: str) -> None:
    """Its root is stage 3 of specs/mfs: more than an hour of CPU for a machine of which the store has nothing."""
    place = artifacts(folder) / f"{board}-mfs"
    values = [f"specs/mfs/values/{WHOLE[board]}.yaml", "images/values/mfs.yaml"]
    words = ["--tree", "specs/mfs", *(word for file in values for word in ("--values", file))]
    words += ["--timeout", "15m", "--artifacts", str(place), "--json"]
    ran = farm(folder, "image", "test", board, *words, limit=6 * 3600)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    trial = json.loads(ran.stdout)[0]
    checks = {check["name"]: check["skipped"] for check in trial["checks"]}
    assert trial["ok"] and set(checks) >= {*USUAL, "network", "tools/growroot is installed from our wagon"}
    assert not any(checks.values()) and "the compiler runs" in checks


@CI
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


def qemus(image: str) -> list[int]:
    """The QEMU processes that have a card below a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "qemu-system" in words.split("\0")[0] and image in words:
                found.append(int(entry.name))
    return found


def until(condition: object, seconds: float) -> bool:
    """Waits until a call gives something true."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return bool(condition())


@CI
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_qemu_outlives_a_farm_that_is_stopped_while_a_board_boots(
    folder: Path, images: Path, number: signal.Signals
) -> None:
    store = environment(folder)["FARM_STORE"]
    # What runs in the background of a shell ignores Ctrl-C, and so would its children.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "farm", "image", "test", "pine64-plus"]
    command += ["--artifacts", str(folder / "stopped")]
    log = folder / "stopped" / "pine64-plus.console.log"
    log.unlink(missing_ok=True)
    with subprocess.Popen(command, cwd=CHECKOUT, env=environment(folder), stdout=DEVNULL, stderr=DEVNULL) as running:
        assert until(lambda: log.exists() and log.stat().st_size and qemus(store), 120)
        running.send_signal(number)
        try:
            running.wait(60)
        finally:
            running.kill()
    assert until(lambda: not qemus(store), 30), qemus(store)
    assert not (folder / "stopped" / "junit.xml").exists()
    again = farm(folder, "image", "verify", str(images / "pine64-plus.img"))
    assert again.returncode == 0, again.stderr
