# SPDX-License-Identifier: GPL-3.0-or-later
"""One job's container: how it is made, started, ended, and where its changes are."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farm.plan.job import Job
from farm.runner.docker import pid1, settle, upper
from farm.runner.skeleton import HOSTNAME
from farm.spec.problem import FarmError, error

if TYPE_CHECKING:
    from docker import DockerClient

_OOM_ADJUSTMENT = 500
_CORE_SIZE = 1
"""Bytes; as the sandbox sets it, see `farm.runner.sandbox.privileges`."""

_SETTLE_TIME = 60
_STOP_TIME = 60


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """The folder that a container's first process and the farm share, see `farm.runner.docker.pid1`."""

    folder: Path

    @property
    def log(self) -> Path:
        """FIFO for output."""
        return self.folder / "log"

    @property
    def go(self) -> Path:
        """FIFO that lets the commands begin."""
        return self.folder / "go"

    @property
    def status(self) -> Path:
        """The script's report."""
        return self.folder / "status"

    @classmethod
    def make(cls, folder: Path, script: bytes, etc: Mapping[str, str]) -> Share:
        """Makes the folder with all that belongs in it. ``etc``: files of /etc by name."""
        share = cls(folder)
        folder.mkdir(mode=0o700)
        os.mkfifo(share.log)
        os.mkfifo(share.go)
        share.status.touch()
        (folder / "script").write_bytes(script)
        (folder / "etc").mkdir()
        for name, text in etc.items():
            (folder / "etc" / name).write_text(text)
        return share


class NotStarted(Exception):
    """The first process could not be started, for a fault of the job's root: ``no-shell``."""


class Container:
    """A container that exists. ``upper`` is its upper directory on this host."""

    def __init__(self, client: DockerClient, name: str) -> None:
        self._client = client
        self._name = name
        data = client.api.inspect_container(name)["GraphDriver"]["Data"]
        self.upper = Path(data["UpperDir"])
        self._merged = Path(data["MergedDir"])
        self._own_layer = Path(data["LowerDir"].partition(":")[0])
        if not self.upper.is_dir():
            hint = "run farm on the engine's own host, or use --runner sandbox"
            raise error("docker-not-local", f"the engine's {self.upper} is not on this host", hint=hint)

    def start(self, share: Share, lowers: list[Path]) -> None:
        """Starts the commands. ``lowers`` are the layers of the image. `NotStarted`; FarmError ``docker-start``."""
        import docker

        self._forget_own_layer()
        try:
            self._client.api.start(self._name)
        except docker.errors.APIError as problem:
            raise _start_problem(str(problem.explanation)) from problem
        pid = self.state()["Pid"]
        if pid:
            self._settle(pid, share, upper.made_by_engine(self.upper, lowers))

    def kill(self) -> None:
        """Kills all processes at once; an ended container is fine."""
        import docker

        with contextlib.suppress(docker.errors.APIError):
            self._client.api.kill(self._name, "SIGKILL")

    def wait(self) -> dict[str, Any]:
        """Waits until the container has ended and its root is unmounted; the engine's description of its end."""
        self._client.api.wait(self._name, timeout=_STOP_TIME)
        give_up = time.monotonic() + _STOP_TIME
        while self._merged.is_mount() and time.monotonic() < give_up:
            time.sleep(0.01)
        return self.state()

    def state(self) -> dict[str, Any]:
        """The engine's ``State`` of the container."""
        found: dict[str, Any] = self._client.api.inspect_container(self._name)["State"]
        return found

    def _forget_own_layer(self) -> None:
        """The engine puts a layer of its own (/.dockerenv, /etc/mtab, …) between image and upper directory."""
        if self._own_layer.parent.name.endswith("-init"):
            upper.empty_folder(self._own_layer)

    def _settle(self, pid: int, share: Share, made: list[str]) -> None:
        command = [sys.executable, "-I", "-S", settle.__file__, str(pid), str(share.go), pid1.SHARE, *made]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SETTLE_TIME, check=False
        )
        if done.returncode != 0 and self.state()["Running"]:
            raise error("docker-start", f"cannot enter the container: {done.stderr.strip()[-400:]}", transient=True)


@contextlib.contextmanager
def created(
    client: DockerClient, image: str, job: Job, env: dict[str, str], labels: dict[str, str], share: Share
) -> Iterator[Container]:
    """A new container for the job; removed afterwards, with its processes."""
    made = client.api.create_container(
        image,
        command=pid1.COMMAND,
        environment=pid1.environment(env),
        hostname=HOSTNAME,
        user="0:0",
        working_dir="/",
        labels=labels,
        host_config=client.api.create_host_config(**_host_config(client, job, share)),
    )
    try:
        yield Container(client, made["Id"])
    finally:
        client.api.remove_container(made["Id"], v=True, force=True)


def _host_config(client: DockerClient, job: Job, share: Share) -> dict[str, Any]:
    from docker.types import Ulimit

    limits = job.limits
    memory = {} if limits.memory is None else {"mem_limit": limits.memory, "memswap_limit": limits.memory}
    return {
        "network_mode": "host" if job.network else "none",
        "cap_drop": ["NET_RAW"] if job.network else [],
        "log_config": {"Type": "none"},
        "binds": [_bind(share)],
        "pids_limit": limits.processes,
        "nano_cpus": min(limits.cores, os.cpu_count() or 1) * 10**9,
        "shm_size": limits.memory or _half_of_memory(),
        "oom_score_adj": _OOM_ADJUSTMENT,
        "ulimits": [Ulimit(name="core", soft=_CORE_SIZE, hard=_CORE_SIZE)],
        **memory,
    }


def _bind(share: Share) -> str:
    """The shared folder, the only thing of this host that a container sees (``z``: SELinux lets it)."""
    if ":" in str(share.folder):
        raise error("docker-path", f"Docker cannot use a store whose path has a colon: {share.folder}")
    return f"{share.folder}:{pid1.SHARE}:rw,z"


def _half_of_memory() -> int:
    """Bytes; what the kernel gives a tmpfs without a limit."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _start_problem(text: str) -> NotStarted | FarmError:
    low = text.lower()
    if "/bin/sh" in low and ("no such file" in low or "permission denied" in low or "not found" in low):
        return NotStarted("no-shell")
    return error("docker-start", f"the container does not start: {text}", transient=True)
