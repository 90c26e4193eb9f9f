# SPDX-License-Identifier: GPL-3.0-or-later
"""A runner for tests of the scheduling only: it follows a script and isolates nothing.

Steps: ``write NAME TEXT`` (a file of the layer), ``sleep SECONDS``, ``say TEXT`` (to the log), ``wait NAME``
(until the test sets event NAME), ``fail CODE``, ``infra COUNT`` (the first COUNT times), ``crash``, ``transient``.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

from farm.plan.job import Job, Made, Pack
from farm.plan.node import Node, Plan
from farm.runner.protocol import Failure, Outcome, Status
from farm.spec.problem import error
from farm.store.store import Store


class ScriptedRunner:
    """Counts what it ran, by the job's first command."""

    name = "scripted"

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.events: defaultdict[str, threading.Event] = defaultdict(threading.Event)
        self.now = self.most = 0
        self.closed = False
        self._mutex = threading.Lock()

    def check(self) -> None:
        """It always can."""

    def close(self) -> None:
        """Ends what still waits, so that a test that fails does not hang."""
        self.closed = True

    def run(self, job: Job, store: Store, log: Path, cancel: threading.Event) -> Outcome:
        """Follows the job's steps."""
        with self._mutex:
            self.ran[job.commands[0]] += 1
            times = self.ran[job.commands[0]]
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            with store.scratch() as folder:
                return self._follow(job, store, folder, log, cancel, times)
        finally:
            with self._mutex:
                self.now -= 1

    def _follow(self, job: Job, store: Store, folder: Path, log: Path, cancel: threading.Event, times: int) -> Outcome:
        upper = folder / "upper"
        upper.mkdir(mode=0o755)
        for number, step in enumerate(job.commands):
            ended = self._step(step, upper, log, cancel, times)
            if ended:
                return Outcome(ended, failure=Failure(number, None, step))
            if step.startswith("fail "):
                return Outcome("failed", failure=Failure(number, int(step.split()[1]), step))
        lowers = [store.layer_path(str(digest)) for digest in job.layers]
        return Outcome("ok", store.commit_layer(upper, lowers, epoch=job.epoch).digest, cpu=0.001)

    def _step(self, step: str, upper: Path, log: Path, cancel: threading.Event, times: int) -> Status | None:
        verb, _, rest = step.partition(" ")
        match verb:
            case "write":
                name, _, text = rest.partition(" ")
                (upper / name).write_text(text)
            case "say":
                with open(log, "a") as out:
                    out.write(rest + "\n")
            case "sleep" if cancel.wait(float(rest)):
                return "cancelled"
            case "wait":
                while not self.events[rest].wait(0.01):
                    if cancel.is_set() or self.closed:
                        return "cancelled"
            case "infra" if times <= int(rest):
                return "infra"
            case "transient" if times <= 1:
                raise error("busy", "the host is busy", transient=True)
            case "crash":
                raise RuntimeError("a bug of the runner's")
        return None


def job(name: str, *steps: str, needs: tuple[str, ...] = (), package: str | None = None) -> Node:
    """A node that runs ``steps`` on top of the layers of ``needs``."""
    layers = tuple(Made(need, "layer") for need in needs)
    return Node(name, Job(layers, steps=steps or (f"write {name} {name}",)), package)


def pack(name: str, need: str) -> Node:
    """A node that packs the layer of ``need``."""
    return Node(name, Pack((Made(need, "layer"),), "delta", compression="none"))


def plan(*nodes: Node, targets: tuple[str, ...] = ()) -> Plan:
    """A plan of these nodes; the last is the target unless told otherwise."""
    by_id = {node.id: node for node in nodes}
    return Plan(by_id, targets or tuple(by_id)[-1:])


def patiently(condition: object, seconds: float = 10.0) -> None:
    """Waits until ``condition()`` is true. AssertionError when it never is."""
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
