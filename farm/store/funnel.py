# SPDX-License-Identifier: GPL-3.0-or-later
"""Many small writes gathered into large ones that a thread of its own works off."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

_CHUNK = 1 << 20
_WAITING = 8

Sink = Callable[[bytes], object]


class Funnel:
    """Hands what is written to ``sink`` in pieces of about 1 MiB, beside the writer.

    The pieces' borders do not depend on timing. What is smaller than one piece never starts a thread. After
    `finish` all was worked off; an exception of the sink is raised by the next call here.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._parts: list[bytes] = []
        self._filled = 0
        self._queue: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._problem: BaseException | None = None
        self.size = 0

    def write(self, data: bytes) -> None:
        """Takes ``data``."""
        self._parts.append(data)
        self._filled += len(data)
        if self._filled >= _CHUNK:
            self._pass_on()

    def finish(self) -> None:
        """Waits until all is worked off."""
        if self._thread is None:
            self._sink(self._take())
            return
        self._pass_on()
        self.close()
        self._check()

    def close(self) -> None:
        """Ends the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Funnel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self) -> bytes:
        data = b"".join(self._parts)
        self.size += len(data)
        self._parts = []
        self._filled = 0
        return data

    def _pass_on(self) -> None:
        self._check()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="funnel", daemon=True)
            self._thread.start()
        self._queue.put(self._take())

    def _check(self) -> None:
        if self._problem is not None:
            raise self._problem

    def _work(self) -> None:
        while (data := self._queue.get()) is not None:
            if self._problem is None:
                try:
                    self._sink(data)
                except BaseException as problem:  # noqa: BLE001 - raised again by the writer's side
                    self._problem = problem
