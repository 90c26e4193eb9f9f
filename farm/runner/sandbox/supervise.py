# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches one job from the farm's side: its reports, its output, its limits, and its end."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable

from farm.plan.job import Limits
from farm.runner.disk import DiskGuard
from farm.runner.log import Pump

_TICK = 0.1
_PACKET = 1 << 16


class Supervisor:
    """One job's course. `watch` returns when pid 1, and with it every process of the job, is gone.

    Afterwards: ``stopped`` (``cancelled``, ``timeout``, ``silent``, ``disk`` or None), ``command`` (the last one
    started, -1: none), ``status`` (its wait status, None: it did not end), ``refused`` (why it could not be
    started), ``broken`` (why the root could not be made), ``done``, ``cpu`` (s), ``peak`` (bytes of the biggest
    process).
    """

    def __init__(self, report: socket.socket, pump: Pump, limits: Limits, disk: DiskGuard) -> None:
        self._report = report
        self._pump = pump
        self._limits = limits
        self._disk = disk
        self._handle: int | None = None
        self._listening = True
        self._began = time.monotonic()
        self.stopped: str | None = None
        self.command = -1
        self.status: int | None = None
        self.refused: OSError | None = None
        self.broken: OSError | None = None
        self.done = False
        self.cpu = 0.0
        self.peak = 0

    def watch(self, cancel: threading.Event) -> None:
        """Stays until the job has ended and all it wrote is in the log. OSError: the log cannot be written."""
        try:
            while not self._step(cancel):
                pass
        finally:
            self._kill()
            while self._listening and self._read_report():
                pass
            if self._handle is not None:
                _wait_for_end(self._handle)
                os.close(self._handle)
                self._handle = None
        self._drain()

    def _step(self, cancel: threading.Event) -> bool:
        """Waits for something to happen and handles it; True: the job has ended."""
        poll = select.poll()
        for fd in self._sources():
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(_TICK * 1000)}
        if self._report.fileno() in ready and self._listening:
            self._read_report()
        if self._pump.fd in ready:
            self._move_output()
        self._enforce(cancel)
        return not self._listening and (self._handle is None or self._handle in ready)

    def _sources(self) -> list[int]:
        sources = [] if self._pump.ended else [self._pump.fd]
        if self._listening:
            sources.append(self._report.fileno())
        if self._handle is not None:
            sources.append(self._handle)
        return sources

    def _move_output(self) -> None:
        try:
            self._pump.step()
        except OSError:
            self._stop("disk")
            self._pump.ended = True

    def _drain(self) -> None:
        try:
            self._pump.drain()
        except OSError:
            self.stopped = self.stopped or "disk"

    def _enforce(self, cancel: threading.Event) -> None:
        silent, timeout = self._limits.silent_timeout, self._limits.timeout
        if cancel.is_set():
            self._stop("cancelled")
        elif timeout is not None and time.monotonic() - self._began > timeout:
            self._stop("timeout")
        elif silent is not None and self._pump.log.silence > silent:
            self._stop("silent")
        elif self._disk.exceeded(self._pump.log.size):
            self._stop("disk")

    def _stop(self, why: str) -> None:
        self.stopped = self.stopped or why
        self._kill()

    def _kill(self) -> None:
        if self._handle is not None:
            _signal(self._handle)

    def _read_report(self) -> bool:
        """Takes one packet; False when the other side is closed (``broken`` when it said nothing useful)."""
        data, fds, _, _ = socket.recv_fds(self._report, _PACKET, 1, socket.MSG_CMSG_CLOEXEC)
        if fds:
            self._handle = fds[0]
            if self.stopped:
                self._kill()
        if not data:
            self._listening = False
            return False
        self._take(json.loads(data))
        return True

    def _take(self, message: dict[str, object]) -> None:
        handlers: dict[str, Callable[[dict[str, object]], None]] = {
            "started": self._started,
            "ended": self._ended,
            "refused": self._was_refused,
            "broken": self._was_broken,
            "done": self._was_done,
        }
        for kind, handler in handlers.items():
            if kind in message:
                handler(message)

    def _started(self, message: dict[str, object]) -> None:
        self.command, self.status = _int(message, "started"), None
        self._pump.log.spoke()

    def _ended(self, message: dict[str, object]) -> None:
        self.status = _int(message, "status")

    def _was_refused(self, message: dict[str, object]) -> None:
        self.refused = OSError(_int(message, "errno"), str(message["what"]))

    def _was_broken(self, message: dict[str, object]) -> None:
        self.broken = OSError(_int(message, "errno"), str(message["broken"]))

    def _was_done(self, message: dict[str, object]) -> None:
        self.done = True
        self.cpu = float(str(message["cpu"]))
        self.peak = _int(message, "peak")


def _int(message: dict[str, object], name: str) -> int:
    return int(str(message[name]))


def _signal(handle: int) -> None:
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return


def _wait_for_end(handle: int) -> None:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll()
