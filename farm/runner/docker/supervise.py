# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches one running container from the farm's side: its output, its limits and its end."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Callable
from pathlib import Path

from farm.plan.job import Limits
from farm.runner.disk import DiskGuard
from farm.runner.log import Pump
from farm.spec.problem import error

_TICK = 0.1
_PATIENCE = 120
"""Seconds that a killed container may take to end: processes in uninterruptible sleep, a slow engine."""


class Watch:
    """The course of one container. ``stopped`` says why the farm ended it, if it did."""

    def __init__(self, pump: Pump, status: Path, limits: Limits, disk: DiskGuard, kill: Callable[[], None]) -> None:
        self._pump = pump
        self._status = status
        self._seen = 0
        self._limits = limits
        self._disk = disk
        self._kill = kill
        self._began = time.monotonic()
        self._killed = 0.0
        self.stopped: str | None = None

    def until_end(self, cancel: threading.Event) -> None:
        """Stays until the last process of the container has ended and all that was written is in the log.

        The end is the end of file on the pipe, which pid 1 holds open as long as it lives.
        FarmError ``docker-stuck`` (transient) when the container does not end though it was killed.
        """
        poll = select.poll()
        poll.register(self._pump.fd, select.POLLIN)
        checked = 0.0
        while not self._pump.ended:
            if poll.poll(_TICK * 1000):
                self._move()
            if time.monotonic() - checked >= _TICK:
                self._enforce(cancel)
                checked = time.monotonic()

    def _move(self) -> None:
        try:
            self._pump.step()
        except OSError:
            self._stop("disk")
            self._pump.ended = True

    def _enforce(self, cancel: threading.Event) -> None:
        if self.stopped:
            if time.monotonic() - self._killed > _PATIENCE:
                raise error("docker-stuck", "a container does not end though it was killed", transient=True)
            return
        if why := self._excess(cancel):
            self._stop(why)

    def _excess(self, cancel: threading.Event) -> str | None:
        """Why the job has to be stopped now."""
        self._listen()
        silent, timeout = self._limits.silent_timeout, self._limits.timeout
        if cancel.is_set():
            return "cancelled"
        if timeout is not None and time.monotonic() - self._began > timeout:
            return "timeout"
        if silent is not None and self._pump.log.silence > silent:
            return "silent"
        return "disk" if self._disk.exceeded(self._pump.log.size) else None

    def _listen(self) -> None:
        """The start of a command counts as output."""
        size = self._status.stat().st_size
        if size != self._seen:
            self._seen = size
            self._pump.log.spoke()

    def _stop(self, why: str) -> None:
        self.stopped = why
        self._killed = time.monotonic()
        self._kill()
