# SPDX-License-Identifier: GPL-3.0-or-later
"""The docker runner: makes a job's image and container, watches it, takes its layer, judges how it ended."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from farm.plan.job import Digest, Job
from farm.plan.node import key_document, key_of
from farm.runner.disk import DiskGuard
from farm.runner.docker import engine, owner, pid1, reap, upper
from farm.runner.docker.container import Container, NotStarted, Share, created
from farm.runner.docker.images import DEEPEST, Images, store_name
from farm.runner.docker.pid1 import Report
from farm.runner.docker.supervise import Watch
from farm.runner.environment import complete_environment
from farm.runner.layers import root_layers
from farm.runner.log import Log, Pump
from farm.runner.machine import check_root
from farm.runner.protocol import Failure, Outcome, Status
from farm.runner.skeleton import etc_files
from farm.spec.problem import error
from farm.store.entry import FOLDER
from farm.store.union import Union

if TYPE_CHECKING:
    from docker import DockerClient

    from farm.store.store import Store

_STATUSES: dict[str, Status] = {"cancelled": "cancelled", "timeout": "timeout", "silent": "silent"}


@dataclasses.dataclass(frozen=True, slots=True)
class _Ended:
    """How a container ended: what the script said, why the farm stopped it, whether memory ran out."""

    report: Report
    stopped: str | None = None
    out_of_memory: bool = False


class DockerRunner:
    """Runs jobs in containers. One reaper process for each farm, started when first needed."""

    name = "docker"

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self.run_id = owner.new_run()
        self._images = Images(self.run_id)
        self._reaper: subprocess.Popen[bytes] | None = None

    def check(self) -> None:
        """FarmError ``docker-unreachable``, ``docker-storage``, ``docker-userns``, ``docker-not-local``, …"""
        with engine.connection() as client:
            engine.check(client)

    def run(self, job: Job, store: Store, log: Path, cancel: threading.Event) -> Outcome:
        """See `farm.runner.protocol.Runner`. FarmError with code ``docker-…``."""
        began = time.monotonic()
        if job.binds or job.on_host:
            what = "hooks on the host" if job.on_host else "binds"
            raise error("docker-cannot", f"the docker runner has no {what}", hint="use --runner sandbox")
        with store.scratch("docker") as scratch, Log(log) as file, engine.connection() as client:
            if cancel.is_set():
                return Outcome("cancelled")
            self._begin(client)
            changes = scratch / "upper"
            changes.mkdir(mode=0o755)
            chain = root_layers(job, store, DEEPEST - 1)
            ended = self._commands(client, store, job, chain, scratch, file, cancel)
            outcome = _judge(ended)
            if outcome.status == "ok":
                lowers = store.layer_paths(chain)
                drop = () if job.keep_workdir else (job.workdir,)
                layer = store.commit_layer(changes, lowers, drop=drop, epoch=job.epoch)
                outcome = dataclasses.replace(outcome, layer=layer.digest)
            elif outcome.failure and outcome.status != "cancelled":
                upper.use_user_marks(changes)
                root = store.keep_failed(key_of(key_document(job)), changes)
                outcome = dataclasses.replace(outcome, failure=dataclasses.replace(outcome.failure, root=root))
        return dataclasses.replace(outcome, wall=time.monotonic() - began)

    def close(self) -> None:
        """Has everything removed that this farm made in the engine, and waits for it."""
        with self._mutex:
            reaper, self._reaper = self._reaper, None
            self._images = Images(self.run_id)
        if reaper:
            reap.finish(reaper)

    def _begin(self, client: DockerClient) -> None:
        """What comes before the first thing is made."""
        with self._mutex:
            if self._reaper is None:
                engine.check(client)
                owner.sweep(client)
                self._reaper = reap.start(self.run_id)

    def _commands(
        self,
        client: DockerClient,
        store: Store,
        job: Job,
        chain: tuple[Digest, ...],
        scratch: Path,
        file: Log,
        cancel: threading.Event,
    ) -> _Ended:
        """Runs all commands in one container; its changes are in ``scratch/upper`` afterwards."""
        if not job.commands:
            return _Ended(Report(done=True))
        lowers = store.layer_paths(chain)
        if _is_bad(lowers):
            return _Ended(Report(refused="bad-root"))
        check_root(job, lowers)
        own = uuid.uuid4().hex
        env = complete_environment(job)
        share = Share.make(
            scratch / "share", pid1.script(job.workdir, job.commands, env), etc_files(network=job.network)
        )
        stack = len(chain) - 1 if job.fresh_workdir else len(chain)
        with (
            self._images.image(client, store, chain, stack=stack, platform=job.platform, job=own) as image,
            created(client, image, job, env, owner.labels(self.run_id, own, store_name(store)), share) as made,
        ):
            try:
                stopped = _watched(made, job, share, lowers, file, cancel)
            except NotStarted as problem:
                return _Ended(Report(command=0, refused=str(problem)))
            state = made.wait()
            upper.take(made.upper, scratch / "upper")
        return _Ended(pid1.read_report(share.status, job.commands), stopped, bool(state.get("OOMKilled")))


def _watched(
    made: Container, job: Job, share: Share, lowers: list[Path], file: Log, cancel: threading.Event
) -> str | None:
    """Starts the container and stays until it has ended; why the farm stopped it, if it did."""
    with _pumping(share, file) as (pump, keep_open):
        try:
            made.start(share, lowers)
        finally:
            # From here on the pipe ends with the container's last process.
            os.close(keep_open)
        watch = Watch(pump, share.status, job.limits, DiskGuard(made.upper, job.limits.disk), made.kill)
        watch.until_end(cancel)
    return watch.stopped


@contextlib.contextmanager
def _pumping(share: Share, file: Log) -> Iterator[tuple[Pump, int]]:
    """The pump at the reading end of the FIFO, and a writing end that keeps it from ending."""
    pump = Pump(os.open(share.log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), file)
    try:
        yield pump, os.open(share.log, os.O_WRONLY | os.O_CLOEXEC)
    finally:
        pump.close()


def _is_bad(lowers: list[Path]) -> bool:
    """Whether something else is in the root where the engine has to find folders to mount on."""
    with Union(lowers) as union:
        found = [union.entry(name) for name in (b"dev", b"etc", b"proc", b"sys")]
    return any(entry is not None and entry.kind != FOLDER for entry in found)


def _judge(ended: _Ended) -> Outcome:
    """How the job ended. Raises FarmError when that was not the job's own doing."""
    report = ended.report
    measured = Outcome("failed", cpu=report.cpu, memory_peak=report.peak)
    if ended.stopped:
        failure = Failure(report.command, report.code, ended.stopped)
        return dataclasses.replace(measured, status=_STATUSES.get(ended.stopped, "failed"), failure=failure)
    if report.done and not report.refused and report.code in (0, None):
        return dataclasses.replace(measured, status="ok")
    return dataclasses.replace(measured, failure=Failure(report.command, report.code, _reason(ended)))


def _reason(ended: _Ended) -> str:
    """One word for why a job failed by itself; the sandbox uses the same ones."""
    report = ended.report
    if report.kills or ended.out_of_memory:
        return "memory"
    if report.refused:
        return report.refused
    if report.code is None:
        raise error("docker-start", "the container's first process was killed from outside", transient=True)
    return "signal" if report.code > 128 else "exit"
