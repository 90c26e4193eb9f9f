# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU: driven over sockets, and never left behind, whatever becomes of the farm."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from farm.image.boot import machine as machines
from farm.image.boot.checks import Checked, Served, usual_checks
from farm.image.boot.guest import running
from farm.image.boot.machine import MACHINES, find_qemu
from farm.image.boot.report import as_json, junit
from farm.image.boot.trial import Trial
from farm.image.read import read_board
from farm.spec.problem import FarmError

IMAGES = Path(__file__).parents[2] / "images"
OFFLINE = dataclasses.replace(MACHINES["virt"], network=())

PROGRAM = """
import asyncio, sys
from pathlib import Path
from farm.image.boot.guest import running
from farm.image.boot.machine import MACHINES, find_qemu

async def main(folder):
    async with running(find_qemu("virt"), MACHINES["virt"], folder / "card", folder / "log") as guest:
        print(guest._process.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.fixture
def qemu() -> tuple[str, ...]:
    """A QEMU with the machine virt."""
    try:
        return find_qemu("virt")
    except FarmError as failure:
        pytest.skip(str(failure))


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """An empty card."""
    path = tmp_path / "card"
    path.write_bytes(bytes(1 << 20))
    return path


def alive(pid: int) -> bool:
    """Whether a process runs (one that nobody has waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_qemu_goes_with_the_farm(qemu: tuple[str, ...], card: Path, tmp_path: Path, number: signal.Signals) -> None:
    farm = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert farm.stdout
    pid = int(farm.stdout.readline())
    assert alive(pid)
    os.kill(farm.pid, number)
    farm.wait()
    farm.stdout.close()
    deadline = time.monotonic() + 60
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(pid)


def test_a_silent_guest_ends_in_time(qemu: tuple[str, ...], card: Path, tmp_path: Path) -> None:
    async def session() -> int:
        async with running(qemu, MACHINES["virt"], card, tmp_path / "log") as guest:
            assert (await guest.execute("query-status"))["status"] == "running"
            with pytest.raises(FarmError) as failure:
                await guest.expect(rb"login: $", 0.3)
            assert failure.value.code == "guest-timeout"
            return guest._process.pid

    assert not alive(asyncio.run(session()))


def test_a_qemu_that_does_not_start_says_why(qemu: tuple[str, ...], tmp_path: Path) -> None:
    async def session() -> None:
        async with running(qemu, MACHINES["virt"], tmp_path / "gone", tmp_path / "log"):
            raise AssertionError("it started")

    with pytest.raises(FarmError) as failure:
        asyncio.run(session())
    assert failure.value.code == "qemu-failed" and "gone" in failure.value.problems[0].message


def test_no_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("FARM_QEMU", str(tmp_path / "none"))
    with pytest.raises(FarmError) as failure:
        find_qemu("raspi4b")
    assert failure.value.code == "no-qemu" and "host-setup --qemu" in failure.value.problems[0].hint


def test_cards_are_powers_of_two_and_larger() -> None:
    for size in (1, 124 << 20, 164 << 20, 1 << 30, 3 << 30):
        card_bytes = machines.card_size(size)
        assert card_bytes & (card_bytes - 1) == 0 and card_bytes >= size * 3 // 2


def test_a_guest_installs_only_where_there_is_a_network_and_a_wagon() -> None:
    board = read_board(IMAGES / "pine64-plus.yaml", {})
    for machine, wagon, skipped in ((MACHINES["virt"], 80, False), (MACHINES["virt"], 0, True), (OFFLINE, 80, True)):
        checks = usual_checks(board, machine, 1 << 28, Served("word", 8000, wagon))
        install = next(check for check in checks if check.name == "devel/tcc is installed from our wagon")
        assert install.run.endswith("exit 77") == skipped
        assert skipped or install.run == "wagon-install http://10.0.2.2:80 devel/tcc"
        assert any(check.name == "network" for check in checks) == bool(machine.network)


def test_reports(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    log = tmp_path / "console.log"
    log.write_bytes(b"U-Boot\x1b[0m \x00\xff login: ")
    checks = (
        Checked("kernel", 0.1, "Linux <6.1>"),
        Checked("network", 2.0, "\x07", "exit status 1"),
        Checked("the compiler runs", 0.1, "no cc\n", skipped="no cc"),
    )
    trial = Trial("board", "on virt", 5.0, 3.0, checks, "", "QEMU quit", log, None)
    suite = ElementTree.fromstring(junit([trial])).find("testsuite")
    assert suite is not None and suite.get("tests") == "4" and suite.get("failures") == "1"
    assert [case.find("failure") is not None for case in suite.findall("testcase")] == [False, False, True, False]
    assert suite.get("skipped") == "1" and suite.findall("testcase")[3].find("skipped") is not None
    assert "login:" in (suite.findtext("system-out") or "")
    told = as_json([trial])[0]
    assert not told["ok"] and told["way"] == "on virt" and told["checks"][0]["ok"]
