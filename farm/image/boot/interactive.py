# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest for a person: its console on this terminal, or shown until somebody can log in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

from farm.image.boot.checks import LOGIN
from farm.image.boot.guest import Guest, running
from farm.image.boot.machine import find_qemu
from farm.image.boot.prepare import boot_test, prepare
from farm.image.model import Board
from farm.spec.problem import FarmError, error

_ESCAPE = b"\x1d"
"""Ctrl-]: as telnet and virsh have it."""


def converse(board: Board, image: Path, loader: Path | None, scratch: Path, log: Path) -> int:
    """Gives the terminal the console until Ctrl-] or the guest's end. FarmError ``no-terminal``."""
    if not sys.stdin.isatty():
        raise error("no-terminal", "an interactive console needs a terminal", hint="leave --interactive out")
    prepared = prepare(board, image, scratch, loader)
    program = find_qemu(boot_test(board).machine)

    async def session() -> None:
        async with running(program, prepared.machine, prepared.card, log, prepared.extra) as guest:
            print(f"{board.name}: {prepared.way}\r\nCtrl-] ends\r", flush=True)
            with _raw():
                await _pump(guest)

    asyncio.run(session())
    return 0


def watch(board: Board, image: Path, loader: Path | None, scratch: Path, log: Path, say: Callable[[str], None]) -> int:
    """Shows the console until the login prompt; 0 when it came."""
    prepared = prepare(board, image, scratch, loader)
    test = boot_test(board)
    program = find_qemu(test.machine)

    async def session() -> int:
        async with running(program, prepared.machine, prepared.card, log, prepared.extra) as guest:
            try:
                await guest.prompt(LOGIN, test.timeout)
            except FarmError as failure:
                say(guest.console.decode(errors="replace"))
                say(f"\n{failure.problems[0].message}\n")
                return 1
            say(guest.console.decode(errors="replace"))
            say(f"\n{board.name}: login prompt after {guest.seconds:.1f} s; {prepared.way}\n")
            return 0

    return asyncio.run(session())


async def _pump(guest: Guest) -> None:
    reader, writer = guest.streams
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def typed() -> None:
        data = os.read(0, 1024)
        if not data or _ESCAPE in data:
            done.set()
        else:
            writer.write(data)

    async def shown() -> None:
        while data := await reader.read(4096):
            os.write(1, data)
        done.set()

    loop.add_reader(0, typed)
    task = asyncio.ensure_future(shown())
    try:
        await done.wait()
    finally:
        loop.remove_reader(0)
        task.cancel()


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """The terminal without line editing and signals; restored in any case."""
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
