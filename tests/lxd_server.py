# SPDX-License-Identifier: GPL-3.0-or-later
"""A private LXD server for the tests (Debian's ``lxd``): its own folder, no network, ended by its process id."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from docker_engine import end_with_parent

START_TIME = 90
STOP_TIME = 60
PRESEED = """\
storage_pools: [{name: default, driver: dir}]
profiles: [{name: default, devices: {root: {path: /, pool: default, type: disk}}}]
"""


def can_start() -> bool:
    """Whether a server can be started here."""
    return os.geteuid() == 0 and all(shutil.which(name) for name in ("lxd", "lxc"))


@contextlib.contextmanager
def server(folder: Path) -> Iterator[Mapping[str, str]]:
    """The environment for ``lxc`` of a server for as long as the context lasts.

    ``folder`` has a short path, because the server's sockets are in it.
    """
    env = {**os.environ, "LXD_DIR": str(folder), "HOME": str(folder / "home")}
    (folder / "home").mkdir()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            ["lxd", "--group", "root"], env=env, stdout=log, stderr=log, preexec_fn=end_with_parent
        )
    try:
        _wait_until_up(process, folder, env)
        subprocess.run(["lxd", "init", "--preseed"], input=PRESEED, text=True, env=env, check=True, timeout=START_TIME)
        yield env
    finally:
        subprocess.run(["lxd", "shutdown", "--timeout", str(STOP_TIME)], env=env, check=False, capture_output=True)
        process.terminate()
        process.wait(timeout=STOP_TIME)


def _wait_until_up(process: subprocess.Popen[bytes], folder: Path, env: Mapping[str, str]) -> None:
    waiting = subprocess.run(["lxd", "waitready", "--timeout", str(START_TIME)], env=env, check=False)
    if waiting.returncode or process.poll() is not None:
        raise RuntimeError(f"lxd does not start: {(folder / 'server.log').read_text()[-2000:]}")


def lxc(env: Mapping[str, str], *words: str, limit: float = 120) -> str:
    """What ``lxc`` prints; it has to end well."""
    done = subprocess.run(
        ["lxc", *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def until(env: Mapping[str, str], instance: str, command: str, limit: float = 60) -> None:
    """Waits until a shell command in an instance ends well."""
    give_up = time.monotonic() + limit
    words = ["lxc", "exec", "-T", "-n", instance, "--", "sh", "-c", command]
    while subprocess.run(words, env=env, capture_output=True, check=False, timeout=limit).returncode:
        assert time.monotonic() < give_up, f"{command} in {instance}"
        time.sleep(0.3)
