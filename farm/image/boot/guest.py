# SPDX-License-Identifier: GPL-3.0-or-later
"""A QEMU process: started, driven over QMP, its serial console read and typed into, and ended in any case.

QMP and the console are sockets whose other ends are inherited: no names, no race, nothing left behind. QEMU's own
standard error is kept, but says nothing about success (other versions' modules make it noisy). QEMU gets SIGKILL from
the kernel when the farm dies (prctl(2), PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farm.image.boot.cores import share_one_core
from farm.image.boot.machine import Machine, command
from farm.spec.problem import error

if TYPE_CHECKING:
    from qemu.qmp import QMPClient

_FATAL = (
    rb"Kernel panic - not syncing[^\r\n]*",
    rb"farm: FAILED: [^\r\n]*",
    rb"SPL: failed to boot[^\r\n]*",
    rb"SCRIPT FAILED[^\r\n]*",
    rb"Unhandled fault[^\r\n]*",
)
_KERNEL = re.compile(rb"\[ *\d+\.\d{6}\] [^\r\n]*\r*\n")
"""A line of the kernel's, which it says wherever the console's cursor is: within a prompt, too."""
_QUIT_SECONDS = 10.0
_DIE_WITH_FARM = ("setpriv", "--pdeathsig", "KILL", "--")


class Guest:
    """A running guest. ``console`` is all that its serial line has said; times are seconds since it was let go."""

    def __init__(self, process: asyncio.subprocess.Process, client: QMPClient, reader: Any, writer: Any) -> None:
        self.console = bytearray()
        self.events: list[dict[str, Any]] = []
        self._process = process
        self._client = client
        self._reader = reader
        self._writer = writer
        self._started = time.monotonic()
        self._position = 0

    @property
    def seconds(self) -> float:
        """How long the guest has been running."""
        return time.monotonic() - self._started

    @property
    def position(self) -> int:
        """Where in ``console`` the last match ended."""
        return self._position

    async def expect(self, pattern: bytes, timeout: float) -> re.Match[bytes]:
        """Waits until the console, from where the last match ended, has said something.

        FarmError ``guest-timeout``, ``guest-failed`` (a panic, or what the farm's own initial RAM disk calls failed) or
        ``guest-ended``.
        """
        wanted = re.compile(pattern)

        def search() -> re.Match[bytes] | None:
            if found := wanted.search(self.console, self._position):
                self._position = found.end()
            return found

        return await self._until(search, pattern, timeout)

    async def prompt(self, pattern: bytes, timeout: float) -> re.Match[bytes]:
        """Waits until the console ends with something, but for what the kernel says. FarmError as `expect`."""
        wanted = re.compile(b"(?:%s)$" % pattern)

        def search() -> re.Match[bytes] | None:
            if found := wanted.search(_KERNEL.sub(b"", self.console[self._position :])):
                self._position = len(self.console)
            return found

        return await self._until(search, pattern, timeout)

    async def _until(
        self, search: Callable[[], re.Match[bytes] | None], pattern: bytes, timeout: float
    ) -> re.Match[bytes]:
        fatal = re.compile(b"|".join(_FATAL))
        deadline = time.monotonic() + timeout
        while True:
            if found := search():
                return found
            if bad := fatal.search(self.console, self._position):
                raise error("guest-failed", f"the guest says: {bad[0].decode(errors='replace')}")
            left = deadline - time.monotonic()
            if left <= 0:
                last = bytes(self.console[-300:]).decode(errors="replace").strip().splitlines()[-3:]
                raise error("guest-timeout", f"no {_shown(pattern)} within {timeout:.0f} s; last: {' / '.join(last)}")
            if not await self._read(left):
                raise error("guest-ended", f"QEMU ended before the console said {_shown(pattern)}")

    async def _read(self, timeout: float) -> bool:
        try:
            data = await asyncio.wait_for(self._reader.read(65536), timeout)
        except TimeoutError:
            return True
        self.console += data
        return bool(data)

    async def type(self, text: str) -> None:
        """Types into the console, slowly enough for a UART without flow control."""
        for at in range(0, len(text), 32):
            self._writer.write(text[at : at + 32].encode())
            await self._writer.drain()
            await asyncio.sleep(0.02)

    async def execute(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """A QMP command."""
        return await self._client.execute(name, arguments)

    async def wait(self, timeout: float) -> bool:
        """Waits until QEMU has ended; False when it has not."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), timeout)
        return self.ended

    @property
    def ended(self) -> bool:
        """Whether QEMU has ended."""
        return self._process.returncode is not None

    @property
    def streams(self) -> tuple[Any, Any]:
        """The console's reader and writer, for a person."""
        return self._reader, self._writer


@contextlib.asynccontextmanager
async def running(
    program: Sequence[str], machine: Machine, image: Path, log: Path, extra: Sequence[str] = ()
) -> AsyncIterator[Guest]:
    """Starts QEMU, lets the guest go, and ends QEMU at the end of the block. FarmError ``qemu-failed``."""
    from qemu.qmp import QMPClient

    ours, theirs = socket.socketpair()
    our_serial, their_serial = socket.socketpair()
    words = command(program, machine, image, extra, their_serial.fileno(), theirs.fileno(), log)
    said = log.with_suffix(".qemu")
    with open(said, "wb") as err:
        process = await asyncio.create_subprocess_exec(
            *_DIE_WITH_FARM, *words, stdin=asyncio.subprocess.DEVNULL, stdout=err, stderr=err,
            pass_fds=(theirs.fileno(), their_serial.fileno()), start_new_session=True,
        )  # fmt: skip
    theirs.close()
    their_serial.close()
    client = QMPClient("farm")
    writer = None
    try:
        await _connect(client, ours, process, said)
        reader, writer = await asyncio.open_unix_connection(sock=our_serial)
        share_one_core(process.pid)  # its processors' threads are there, and no code of the guest's has run
        await client.execute("cont")
        yield Guest(process, client, reader, writer)
    finally:
        await _end(process, client)
        if writer:
            writer.close()
        our_serial.close()


def _shown(pattern: bytes) -> str:
    return repr(pattern.decode(errors="replace"))


async def _connect(client: QMPClient, ours: socket.socket, process: asyncio.subprocess.Process, said: Path) -> None:
    connecting = asyncio.ensure_future(client.connect(ours))
    ended = asyncio.ensure_future(process.wait())
    await asyncio.wait({connecting, ended}, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    if not connecting.done() or connecting.exception() or process.returncode is not None:
        connecting.cancel()
        with contextlib.suppress(BaseException):
            await connecting
        reason = said.read_text(errors="replace").strip().splitlines()[-3:]
        raise error("qemu-failed", f"QEMU does not start: {' / '.join(reason) or 'it says nothing'}")


async def _end(process: asyncio.subprocess.Process, client: QMPClient) -> None:
    """Asks QEMU to quit; what does not is killed. A closed socket at the end is the usual way (EOFError)."""
    with contextlib.suppress(Exception):
        if process.returncode is None:
            await asyncio.wait_for(client.execute("quit"), _QUIT_SECONDS)
    with contextlib.suppress(Exception):
        await asyncio.wait_for(process.wait(), _QUIT_SECONDS)
    if process.returncode is None:
        process.kill()
        await process.wait()
    with contextlib.suppress(Exception):
        await asyncio.wait_for(client.disconnect(), _QUIT_SECONDS)
