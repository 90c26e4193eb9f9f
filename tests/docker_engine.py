# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker engine for the tests: the one that answers, else a private one, stopped at the end by its process id.

As a program it runs a command beside the engine, with DOCKER_HOST set: ``python -m tests.docker_engine COMMAND…``.
Without root or without ``dockerd`` the command runs all the same, and the tests that need an engine are skipped.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from farm.runner.docker.engine import connection
from farm.spec.problem import FarmError
from farm.store.removal import mounts_below, remove_tree

PR_SET_PDEATHSIG = 1
START_TIME = 60
STOP_TIME = 60


def answers() -> bool:
    """Whether an engine answers where DOCKER_HOST or the default says."""
    try:
        with connection() as client:
            return bool(client.ping())
    except FarmError:
        return False


def can_start() -> bool:
    """Whether a private engine can be started."""
    return os.geteuid() == 0 and shutil.which("dockerd") is not None


@contextlib.contextmanager
def engine() -> Iterator[str | None]:
    """DOCKER_HOST of an engine for as long as the context lasts; None: there is none and none can be started."""
    if answers():
        yield os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    elif can_start():
        folder = Path(tempfile.mkdtemp(prefix="farm-dockerd-"))
        with _private(folder) as host:
            yield host
        _remove(folder)
    else:
        yield None


@contextlib.contextmanager
def _private(folder: Path) -> Iterator[str]:
    host = f"unix://{folder}/socket"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(_command(folder, host), stdout=log, stderr=log, preexec_fn=end_with_parent)
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = host
    try:
        _wait_until_up(process, folder)
        yield host
    finally:
        if before is None:
            del os.environ["DOCKER_HOST"]
        else:
            os.environ["DOCKER_HOST"] = before
        process.terminate()
        process.wait(timeout=STOP_TIME)


def _command(folder: Path, host: str) -> list[str]:
    """An engine that shares nothing with another and changes nothing of the host's network."""
    options = {"data-root": folder / "data", "exec-root": folder / "exec", "pidfile": folder / "pid", "host": host}
    network = ["--bridge=none", "--iptables=false", "--ip-masq=false"]
    return ["dockerd", "--storage-driver=overlay2", *network, *(f"--{name}={value}" for name, value in options.items())]


def end_with_parent() -> None:
    """In a child before it becomes another program: it ends when the tests do."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_until_up(process: subprocess.Popen[bytes], folder: Path) -> None:
    give_up = time.monotonic() + START_TIME
    while not ((folder / "socket").exists() and answers()):
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"dockerd does not start: {(folder / 'log').read_text()[-2000:]}")
        time.sleep(0.1)


def _remove(folder: Path) -> None:
    """Removes the engine's files, once nothing is mounted there any more."""
    for point in reversed(mounts_below(folder)):
        subprocess.run(["umount", point], check=True)
    remove_tree(folder)


def main(command: list[str]) -> int:
    """Runs ``command`` beside an engine; its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with engine() as host:
        print(f"Docker engine: {host or 'none'}", flush=True)
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
