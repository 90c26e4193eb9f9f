# SPDX-License-Identifier: GPL-3.0-or-later
"""The log pump, fed by pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from farm.runner.log import CHUNK, Log, Pump


def _pump_all(pump: Pump) -> None:
    """Until the end of the pipe."""
    deadline = time.monotonic() + 60
    while not pump.ended and time.monotonic() < deadline:
        if not pump.step():
            time.sleep(0.001)
    assert pump.ended


def _through(path: Path, *parts: bytes) -> bytes:
    """What is in the log after these parts were written one by one."""
    reading, writing = os.pipe()
    with Log(path) as log:
        pump = Pump(reading, log)
        for part in parts:
            os.write(writing, part)
            pump.step()
        os.close(writing)
        _pump_all(pump)
        pump.close()
    return path.read_bytes()


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"one line\n",),
        (b"no final newline",),
        (b"half a \xc3", b"\xbc character\n"),
        (bytes(range(256)) * 10, b"\0\0"),
        (b"\r\x1b[2K", b"\r\n"),
        (b"x" * 60000, b"y" * 60000, b"z"),
    ],
)
def test_bytes_are_kept(tmp_path: Path, parts: tuple[bytes, ...]) -> None:
    assert _through(tmp_path / "log", *parts) == b"".join(parts)


def test_log_is_appended_to(tmp_path: Path) -> None:
    _through(tmp_path / "log", b"a")
    assert _through(tmp_path / "log", b"b") == b"ab"


def test_much_output_is_fast_and_small(tmp_path: Path) -> None:
    size = 256 << 20
    reading, writing = os.pipe()
    with (
        subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=writing) as source,
        Log(tmp_path / "log") as log,
    ):
        os.close(writing)
        pump = Pump(reading, log)
        largest = 0
        while not pump.ended:
            before = log.size
            pump.step()
            largest = max(largest, log.size - before)
        pump.close()
        assert source.wait() == 0
    assert (tmp_path / "log").stat().st_size == log.size == size
    assert largest <= CHUNK
    (tmp_path / "log").unlink()


def test_rest_is_kept_after_a_kill(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with (
        subprocess.Popen(["sh", "-c", "printf begun; sleep 100"], stdout=writing) as source,
        Log(tmp_path / "log") as log,
    ):
        os.close(writing)
        pump = Pump(reading, log)
        while not pump.step():
            time.sleep(0.001)
        os.kill(source.pid, signal.SIGKILL)
        source.wait()
        pump.drain()
        pump.close()
    assert (tmp_path / "log").read_bytes().startswith(b"begun")


def test_drain_does_not_wait_for_who_keeps_the_pipe_open(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with Log(tmp_path / "log") as log:
        pump = Pump(reading, log)
        os.write(writing, b"all there is")
        began = time.monotonic()
        pump.drain()
        assert time.monotonic() - began < 5
        assert not pump.ended
        pump.close()
    os.close(writing)
    assert (tmp_path / "log").read_bytes() == b"all there is"


def test_silence(tmp_path: Path) -> None:
    with Log(tmp_path / "log") as log:
        time.sleep(0.05)
        assert log.silence >= 0.05
        log.write(b"x")
        assert log.silence < 0.05


def test_full_disk_is_an_error() -> None:
    with Log(Path("/dev/full")) as log, pytest.raises(OSError, match="No space"):
        log.write(b"x")


def test_slow_writer(tmp_path: Path) -> None:
    reading, writing = os.pipe()

    def speak() -> None:
        for number in range(20):
            os.write(writing, b"%d" % number)
            time.sleep(0.002)
        os.close(writing)

    thread = threading.Thread(target=speak)
    thread.start()
    with Log(tmp_path / "log") as log:
        pump = Pump(reading, log)
        _pump_all(pump)
        pump.close()
    thread.join()
    assert (tmp_path / "log").read_bytes() == b"".join(b"%d" % number for number in range(20))
