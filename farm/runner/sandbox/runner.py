# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox runner: prepares a job's folders, hands it to the spawner, judges how it ended."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from farm.plan.job import Job
from farm.plan.node import key_document, key_of
from farm.runner import cgroup
from farm.runner.cgroup import JobGroup
from farm.runner.disk import DiskGuard
from farm.runner.environment import complete_environment
from farm.runner.layers import root_layers
from farm.runner.log import Log, Pump
from farm.runner.machine import check_root
from farm.runner.protocol import Failure, Outcome, Status
from farm.runner.rootless import is_rootless
from farm.runner.sandbox import init
from farm.runner.sandbox.request import UPPER, WORK, Request
from farm.runner.sandbox.start import spawner_command
from farm.runner.sandbox.supervise import Supervisor
from farm.runner.skeleton import etc_files
from farm.spec.problem import FarmError, error
from farm.store.store import Store

MAX_LAYERS = 450
"""overlayfs takes 500 lower directories (OVL_MAX_STACK); above this they are flattened into one."""

_STATUSES: dict[str, Status] = {"cancelled": "cancelled", "timeout": "timeout", "silent": "silent"}


class Sandbox:
    """Runs jobs in namespaces. One helper process (the spawner) serves all threads; started when first needed."""

    name = "sandbox"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spawner: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        cgroup.sweep()

    def check(self) -> None:
        """FarmError ``sandbox-unavailable`` when a job cannot be run here."""
        from farm.runner.sandbox.probe import probe

        probe()

    def run(self, job: Job, store: Store, log: Path, cancel: threading.Event) -> Outcome:
        """See `farm.runner.protocol.Runner`. FarmError ``sandbox-setup``, ``cgroup-failed``: transient."""
        began = time.monotonic()
        log.touch()
        if cancel.is_set():
            return Outcome("cancelled")
        with store.scratch("job") as scratch, self._group(job, store) as group:
            lowers = prepare(scratch, job, store)
            check_root(job, lowers)
            request = make_request(job, scratch, len(lowers), group, bound(job, store))
            watched = self._watch(request, job, scratch / UPPER, log, cancel)
            outcome = _judge(watched, group)
            if outcome.status == "ok":
                drop = () if job.keep_workdir else (job.workdir,)
                layer = store.commit_layer(scratch / UPPER, lowers, drop=drop, epoch=job.epoch)
                outcome = dataclasses.replace(outcome, layer=layer.digest)
            elif outcome.status != "cancelled" and outcome.failure:
                root = store.keep_failed(key_of(key_document(job)), scratch / UPPER)
                failure = dataclasses.replace(outcome.failure, root=root)
                outcome = dataclasses.replace(outcome, failure=failure)
        return dataclasses.replace(outcome, wall=time.monotonic() - began)

    def close(self) -> None:
        """Stops the spawner, and with it every job that still runs."""
        with self._lock:
            self._close_spawner()
        cgroup.sweep()

    def _close_spawner(self) -> None:
        if self._control:
            self._control.close()
        if self._spawner:
            self._spawner.wait()
        self._control = self._spawner = None

    @contextmanager
    def _group(self, job: Job, store: Store) -> Iterator[JobGroup]:
        group = cgroup.new_group(store_name(store))
        try:
            group.limit(job.limits.memory, job.limits.processes)
            yield group
        finally:
            group.remove()

    def _watch(self, request: Request, job: Job, upper: Path, log: Path, cancel: threading.Event) -> Supervisor:
        with ExitStack() as stack:
            file = stack.enter_context(Log(log))
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(ours)
            reading, writing = os.pipe()
            pump = Pump(reading, file)
            stack.callback(pump.close)
            try:
                self._send(request, writing, theirs)
            finally:
                os.close(writing)
                theirs.close()
            watched = Supervisor(ours, pump, job.limits, DiskGuard(upper, job.limits.disk))
            watched.watch(cancel)
        return watched

    def _send(self, request: Request, output: int, report: socket.socket) -> None:
        memory = request.to_memory()
        try:
            with self._lock:
                socket.send_fds(self._running_spawner(), [b"j"], [memory, output, report.fileno()])
        except OSError as problem:
            raise error("sandbox-setup", f"the sandbox's helper is gone: {problem}", transient=True) from problem
        finally:
            os.close(memory)

    def _running_spawner(self) -> socket.socket:
        if self._spawner and self._spawner.poll() is not None:
            self._close_spawner()
        if self._control is None:
            self._control, self._spawner = _start_spawner()
        return self._control


def _start_spawner() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    farm = os.pidfd_open(os.getpid())
    try:
        process = subprocess.Popen(
            spawner_command("serve", str(theirs.fileno()), str(farm)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
            pass_fds=(theirs.fileno(), farm),
            start_new_session=True,
        )
    finally:
        theirs.close()
        os.close(farm)
    return ours, process


def store_name(store: Store) -> str:
    """A short name for the store that is the same in all farms that use it."""
    return hashlib.sha256(os.fsencode(store.root.resolve())).hexdigest()[:12]


def prepare(scratch: Path, job: Job, store: Store, upper: Path | None = None) -> list[Path]:
    """Fills ``scratch`` as `Request` has it, around a new ``upper`` or the one that is there: the lower directories.

    Making and removing folders is what a small job spends most of its time on: there are as few as can be.
    """
    (scratch / WORK).mkdir()
    if upper:
        (scratch / UPPER).symlink_to(upper)
    else:
        (scratch / UPPER).mkdir()
        (scratch / UPPER).chmod(0o755)
    lowers = store.layer_paths(root_layers(job, store, MAX_LAYERS))
    for number, path in enumerate(lowers):
        (scratch / str(number)).symlink_to(path)
    return lowers


def bound(job: Job, store: Store) -> tuple[tuple[str, str, bool], ...]:
    """The job's binds as `Request` has them. Folders of the store's are made. FarmError ``bind-missing``."""
    binds = []
    for bind in job.binds:
        source = store.root / "caches" / bind.cache if bind.cache else Path(bind.host)
        if bind.cache:
            source.mkdir(parents=True, exist_ok=True)
        elif not source.is_dir():
            raise error("bind-missing", f"there is no folder {source} to bind to {bind.target}")
        binds.append((str(source.resolve()), bind.target, bind.read_only))
    return tuple(binds)


def make_request(
    job: Job, scratch: Path, lowers: int, group: JobGroup, binds: tuple[tuple[str, str, bool], ...] = ()
) -> Request:
    """The request for all of the job's commands. Where a cgroup controller is missing, rlimits stand in."""
    has = group.folders
    return Request(
        scratch=str(scratch),
        lowers=lowers,
        workdir=job.workdir,
        env=complete_environment(job),
        etc=etc_files(network=job.network),
        commands=job.commands,
        network=job.network,
        rootless=is_rootless(),
        cgroups=group.process_files,
        rlimit_memory=None if "memory" in has else job.limits.memory,
        rlimit_processes=None if "pids" in has else job.limits.processes,
        shared_memory=job.limits.memory,
        binds=binds,
        on_host=job.on_host,
    )


def _judge(watched: Supervisor, group: JobGroup) -> Outcome:
    """How the job ended. Raises FarmError when that was not the job's own doing."""
    peak = group.memory_peak()
    measured = Outcome("failed", cpu=watched.cpu, memory_peak=watched.peak if peak is None else peak)
    if watched.stopped:
        status = _STATUSES.get(watched.stopped, "failed")
        return dataclasses.replace(measured, status=status, failure=_failure(watched, watched.stopped))
    if watched.done and watched.status in (0, None) and not watched.refused:
        return dataclasses.replace(measured, status="ok")
    return dataclasses.replace(measured, failure=_failure(watched, _reason(watched, group)))


def _failure(watched: Supervisor, reason: str) -> Failure:
    code = None if watched.status is None else init.exit_code(watched.status)
    return Failure(watched.command, code, reason)


def _reason(watched: Supervisor, group: JobGroup) -> str:
    """One word for why a job failed by itself.

    ``exit``, ``signal``, ``memory``, ``processes``, ``too-long`` (a command of more than 128 KiB), ``no-shell``,
    ``no-workdir``, ``bad-root`` (a file where /dev, /etc, /proc or /sys has to be).
    """
    if group.memory_kills():
        return "memory"
    if watched.broken:
        if watched.broken.errno == errno.ENOTDIR:
            return "bad-root"
        raise _setup_error(str(watched.broken.strerror))
    if watched.refused:
        return _why_refused(watched.refused)
    if watched.status in (None, 0):
        where = "before its first command" if watched.command < 0 else f"at command {watched.command + 1}"
        raise _setup_error(f"the job's first process was killed from outside {where}")
    return "signal" if os.WIFSIGNALED(watched.status) else "exit"


def _why_refused(problem: OSError) -> str:
    if problem.errno == errno.EAGAIN:
        return "processes"
    if problem.errno == errno.E2BIG:
        return "too-long"
    return "no-shell" if problem.strerror in (init.SHELL, "") else "no-workdir"


def _setup_error(what: str) -> FarmError:
    return error("sandbox-setup", f"the sandbox could not be set up: {what}", hint="See `farm doctor`.", transient=True)
