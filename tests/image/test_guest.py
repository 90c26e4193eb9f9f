# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU: driven over sockets, and never left behind, whatever becomes of the farm."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from farm.image.boot import machine as machines
from farm.image.boot.checks import LOGIN, Checked, Served, log_in, run_check, usual_checks
from farm.image.boot.cores import share_one_core
from farm.image.boot.guest import Guest, running
from farm.image.boot.machine import MACHINES, find_qemu
from farm.image.boot.report import as_json, junit
from farm.image.boot.trial import Trial, try_board
from farm.image.model import Check
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
            assert failure.value.problems[0].message.startswith("no 'login: $' within 0 s")
            return guest._process.pid

    assert not alive(asyncio.run(session()))


def test_a_qemu_that_does_not_start_says_why(qemu: tuple[str, ...], tmp_path: Path) -> None:
    async def session() -> None:
        async with running(qemu, MACHINES["virt"], tmp_path / "gone", tmp_path / "log"):
            raise AssertionError("it started")

    with pytest.raises(FarmError) as failure:
        asyncio.run(session())
    assert failure.value.code == "qemu-failed" and "gone" in failure.value.problems[0].message


def threads_of(process: int) -> list[int]:
    """The threads of a process."""
    return [int(entry.name) for entry in Path(f"/proc/{process}/task").iterdir()]


THREADS = """
import threading
wait = threading.Event()
for _ in range(3):
    threading.Thread(target=wait.wait).start()
print("ready", flush=True)
input()
threading.Thread(target=wait.wait).start()
print("another", flush=True)
input()
wait.set()
"""


def test_all_threads_of_an_emulator_share_a_core() -> None:
    allowed = os.sched_getaffinity(0)
    with subprocess.Popen(
        [sys.executable, "-c", THREADS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            share_one_core(process.pid)
            print(file=process.stdin, flush=True)
            assert process.stdout.readline() == "another\n"
            threads = threads_of(process.pid)
            cores = {frozenset(os.sched_getaffinity(thread)) for thread in threads}
            assert len(threads) == 5 and len(cores) == 1
            core = cores.pop()
            assert len(core) == 1 and core <= allowed
            assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_BATCH}
        finally:
            process.kill()
    assert os.sched_getaffinity(0) == allowed
    share_one_core(process.pid)  # it is gone: nothing to do, and no failure


def test_qemu_s_processors_share_a_core(qemu: tuple[str, ...], card: Path, tmp_path: Path) -> None:
    async def session() -> list[set[int]]:
        async with running(qemu, MACHINES["virt"], card, tmp_path / "log") as guest:
            threads = threads_of(guest._process.pid)
            assert len(threads) > 2  # two processors, and QEMU's own
            return [os.sched_getaffinity(thread) for thread in threads]

    cores = asyncio.run(session())
    assert all(len(core) == 1 and core == cores[0] for core in cores)


class Typed:
    """The writing end of a console: what is typed can be seen, and the guest answers by `answers`."""

    def __init__(self, reader: asyncio.StreamReader, answers: list[bytes]) -> None:
        self.lines: list[bytes] = []
        self._line = b""
        self._reader = reader
        self._answers = answers

    def write(self, data: bytes) -> None:
        self._line += data
        if self._line.endswith(b"\n"):
            self.lines.append(self._line)
            self._line = b""
            self._reader.feed_data(self._answers.pop(0))

    async def drain(self) -> None:
        """Nothing waits."""


LINK = b"[   29.753516] dwmac-sun8i 1c50000.ethernet eth0: Link is Up - 100Mbps/Full\r\n"


def console(said: bytes, answers: list[bytes]) -> tuple[Guest, Typed]:
    """A guest of which there is nothing but a console."""
    reader = asyncio.StreamReader()
    reader.feed_data(said)
    typed = Typed(reader, answers)
    return Guest(None, None, reader, typed), typed  # type: ignore[arg-type]


@pytest.mark.parametrize("at", range(1, len(b"board login: ") + 1))
def test_a_login_prompt_is_seen_wherever_the_kernel_speaks(at: int) -> None:
    """Its messages come between any two bytes of it, and before any of the dialogue's answers."""
    board = read_board(IMAGES / "orangepi-pc.yaml", {})
    prompt = b"board login: "

    async def session() -> tuple[str, list[bytes]]:
        said = b"farm: first boot done\r\n" + prompt[:at] + LINK + LINK + prompt[at:]
        answers = [b"root\r\nPass" + LINK + b"word: ", b"\r\n~ # " + LINK, b"stty\r\nREADY-NOW\r\n"]
        guest, typed = console(said, answers)
        return await log_in(guest, board, 5), typed.lines

    user, lines = asyncio.run(session())
    assert user == "root" and lines[:2] == [b"root\n", b"farm\n"]


CHECKS = [
    (Check("comment", "echo a # and b", "^a$"), "", ""),
    (Check("lines", "echo a\nfalse\n", "a"), "exit status 1", ""),
    (Check("exit", "exit 3", ""), "exit status 3", ""),
    (Check("other", "echo b", "^a$"), "its output does not match '^a$'", ""),
    (Check("not here", "echo why; exit 77", "a"), "", "why"),
]


@pytest.mark.parametrize(("check", "problem", "skipped"), CHECKS, ids=lambda value: getattr(value, "name", ""))
def test_checks_are_run_by_a_shell(check: Check, problem: str, skipped: str) -> None:
    async def session() -> Checked:
        pipe = asyncio.subprocess.PIPE
        shell = await asyncio.create_subprocess_exec("sh", stdin=pipe, stdout=pipe)
        try:
            return await run_check(Guest(shell, None, shell.stdout, shell.stdin), check, 1, 5)  # type: ignore[arg-type]
        finally:
            shell.kill()
            await shell.wait()

    checked = asyncio.run(session())
    assert (checked.problem, checked.skipped) == (problem, skipped)


def test_a_report_is_xml_whatever_a_check_is_called(tmp_path: Path) -> None:
    checked = Checked("\x1b[1m<bold>\0", 0.1, "said\x1b[0m", "wrong\x07")
    trial = Trial("card", "way", 1.0, 0.5, (checked,), "", "QEMU quit", tmp_path / "log", None)
    case = ElementTree.fromstring(junit([trial])).findall(".//testcase")[1]
    assert case.get("name") == "[1m<bold>"


def test_a_panic_after_a_prompt_is_seen() -> None:
    async def session() -> None:
        guest, _ = console(b"board log[    3.000000] Kernel panic - not syncing: VFS\r\n", [])
        await guest.prompt(LOGIN, 5)

    with pytest.raises(FarmError) as failure:
        asyncio.run(session())
    assert failure.value.code == "guest-failed" and "VFS" in failure.value.problems[0].message


def test_a_refused_password_is_told() -> None:
    board = read_board(IMAGES / "orangepi-pc.yaml", {})

    async def session() -> None:
        guest, _ = console(b"board login: ", [b"Password: ", b"\r\nLogin incorrect\r\nboard login: "])
        await log_in(guest, board, 5)

    with pytest.raises(FarmError) as failure:
        asyncio.run(session())
    assert failure.value.code == "no-login"


def test_no_qemu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("FARM_QEMU", str(tmp_path / "none"))
    with pytest.raises(FarmError) as failure:
        find_qemu("raspi4b")
    assert failure.value.code == "no-qemu" and "host-setup --qemu" in failure.value.problems[0].hint


def test_without_qemu_there_is_a_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("FARM_QEMU", str(tmp_path / "none"))
    board = read_board(IMAGES / "orangepi-pc.yaml", {})
    trial = try_board(board, tmp_path / "card.img", None, tmp_path, tmp_path / "artifacts")
    assert not trial.ok and "host-setup --qemu" in trial.problem
    suite = ElementTree.fromstring(junit([trial])).find("testsuite")
    assert suite is not None and suite.get("failures") == "1"
    assert json.dumps(as_json([trial]))


@pytest.mark.parametrize("command", ["boot", "test"])
def test_what_is_no_image_is_not_booted(tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "card.img.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(2000))
    for name in ("fifo", "card.img.zst"):
        words = [command, "orangepi-pc", "--boards", IMAGES, "--image", tmp_path / name, "--store", tmp_path / "store"]
        ran = subprocess.run([sys.executable, "-m", "farm", "image", *map(str, words)], capture_output=True, text=True,
                             cwd=tmp_path, timeout=60, check=False)  # fmt: skip
        assert ran.returncode == 1 and "[no-image]" in ran.stderr, ran.stderr


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
