# SPDX-License-Identifier: GPL-3.0-or-later
"""A boot test: the image in QEMU, to the login prompt and through all checks, within a time."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import http.server
import secrets
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from farm.image.boot.checks import Checked, Served, log_in, run_check, usual_checks
from farm.image.boot.guest import Guest, running
from farm.image.boot.machine import MACHINES, find_qemu
from farm.image.boot.prepare import Prepared, boot_test, prepare
from farm.image.model import Board
from farm.spec.problem import FarmError

_READ_ONLY = """sync; mount -o remount,ro / 2>/dev/null || echo u >/proc/sysrq-trigger; \\
while grep -q '^[^ ]* / ext4 rw' /proc/mounts; do sleep 1; done; echo CLEAN''-NOW
"""
"""A daemon that has a file open for writing keeps a root from being made read-only; SysRq does it all the same."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """How a boot test went. ``way`` says how the image was booted; ``login`` is seconds to the prompt, if it came."""

    board: str
    way: str
    seconds: float
    login: float | None
    checks: tuple[Checked, ...]
    problem: str
    ended: str
    console: Path
    screenshot: Path | None

    @property
    def ok(self) -> bool:
        """Whether all went well."""
        return not self.problem and not any(check.problem for check in self.checks)


def try_board(board: Board, image: Path, loader: Path | None, scratch: Path, artifacts: Path, wagon: int = 0) -> Trial:
    """Boots an image and checks what runs in it. ``artifacts`` gets the console's log and a screenshot.

    ``wagon``: the port of the loopback interface at which the packages are that the guest installs.

    What goes wrong, be it that there is no QEMU or what the guest does, is in the result.
    """
    test = boot_test(board)
    artifacts.mkdir(parents=True, exist_ok=True)
    try:
        program = find_qemu(test.machine)
        prepared = prepare(board, image, scratch, loader)
        with _served() as (token, port):
            trial = asyncio.run(_try(board, program, prepared, artifacts, Served(token, port, wagon)))
    except FarmError as failure:
        first = failure.problems[0]
        problem = f"{first.message}; {first.hint}" if first.hint else first.message
        way, console = MACHINES[test.machine].way_with(), artifacts / f"{board.name}.console.log"
        return Trial(board.name, way, 0.0, None, (), problem, "QEMU was not started", console, None)
    return _with_file_system(trial, board, prepared)


async def _try(board: Board, program: tuple[str, ...], prepared: Prepared, artifacts: Path, served: Served) -> Trial:
    test = boot_test(board)
    console = artifacts / f"{board.name}.console.log"
    login: float | None = None
    checks: list[Checked] = []
    problem, ended, picture = "", "", None
    async with running(program, prepared.machine, prepared.card, console, prepared.extra) as guest:
        try:
            async with asyncio.timeout(test.timeout * 2):
                user = await log_in(guest, board, test.timeout)
                login = guest.seconds
                size = prepared.card.stat().st_size
                wanted = usual_checks(board, prepared.machine, size, served) if user else []
                for number, check in enumerate(wanted, 1):
                    checks.append(await run_check(guest, check, number, test.timeout / 2))
        except FarmError as failure:
            problem = failure.problems[0].message
        except TimeoutError:
            problem = f"the test took longer than {test.timeout * 2:.0f} s"
        if prepared.machine.display:
            picture = await _screenshot(guest, artifacts / f"{board.name}.png")
        ended = await _shut_down(guest, logged_in=bool(checks))
        seconds = guest.seconds
    return Trial(board.name, prepared.way, seconds, login, tuple(checks), problem, ended, console, picture)


async def _screenshot(guest: Guest, file: Path) -> Path | None:
    with contextlib.suppress(Exception):
        await guest.execute("screendump", {"filename": str(file), "format": "png"})
        return file if file.exists() else None
    return None


async def _shut_down(guest: Guest, *, logged_in: bool) -> str:
    """Leaves the file systems clean, then asks by QMP: power button, else quit. How QEMU ended."""
    if guest.ended:
        return "QEMU had ended by itself"
    if logged_in:
        with contextlib.suppress(FarmError):
            await guest.type(_READ_ONLY)
            await guest.expect(rb"CLEAN-NOW", 30)
    with contextlib.suppress(Exception):
        await guest.execute("system_powerdown")
        if await guest.wait(2):
            return "the guest shut down"
        await guest.execute("quit")
    return "QEMU quit" if await guest.wait(10) else "QEMU was killed"


def _with_file_system(trial: Trial, board: Board, prepared: Prepared) -> Trial:
    """One more check: the grown file system is whole when the guest was shut down."""
    if not trial.checks:
        return trial
    command = ["e2fsck", "-fn", f"{prepared.card.absolute()}?offset={board.root.start}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return trial
    problem = f"e2fsck: exit status {done.returncode}" if done.returncode else ""
    checked = Checked("file system is whole afterwards", 0.0, done.stdout, problem)
    return dataclasses.replace(trial, checks=(*trial.checks, checked))


@contextlib.contextmanager
def _served() -> Iterator[tuple[str, int]]:
    """A token at a port of the loopback interface, which guests see as 10.0.2.2."""
    token = secrets.token_hex(16)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(token.encode())

        def log_message(self, *_words: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="boot-test-server", daemon=True)
        thread.start()
        try:
            yield token, server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
