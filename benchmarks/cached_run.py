# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to find out that nothing has to be done: a plan of 6000 nodes, all of them in the store.

Usage: ``python benchmarks/cached_run.py [packages]``. Each package is a job and the packing of its layer; on average
a job stands on about a hundred layers. Prints the CPU seconds of the first run, which makes all (with a runner that
only writes a file), and of runs that find it all.
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from farm.engine.journal import Journal
from farm.engine.loop import Options, run_plan
from farm.plan.job import FileInput, Job, Made, Pack
from farm.plan.node import Node, Plan
from farm.runner.protocol import Outcome
from farm.store.store import Store

LEVELS = 29
MOST_LAYERS = 150


class Writer:
    """Isolates nothing: each job's layer is one file that holds its step."""

    name = "writer"

    def check(self) -> None:
        """It always can."""

    def close(self) -> None:
        """It keeps nothing."""

    def run(self, job: Job, store: Store, log: Path, cancel: threading.Event) -> Outcome:
        """Makes the layer."""
        with store.scratch() as folder:
            (folder / "upper").mkdir()
            (folder / "upper" / "file").write_text(job.steps[0])
            return Outcome("ok", store.commit_layer(folder / "upper", []).digest)


def make_plan(packages: int) -> Plan:
    """Packages in levels; each stands on one of the first (hubs) and two of the level below, and all below those."""
    luck = random.Random(1)
    nodes: dict[str, Node] = {}
    stacks: list[tuple[int, ...]] = []
    for number in range(packages):
        level = number * LEVELS // packages
        low, high = (level - 1) * packages // LEVELS, max(1, level * packages // LEVELS)
        near = (luck.randrange(max(0, low), high) for _ in range(2 if level else 0))
        direct = {luck.randrange(min(50, number)), *near} if level else set()
        stack = dict.fromkeys(below for one in sorted(direct) for below in (*stacks[one], one))
        stacks.append(tuple(stack)[-MOST_LAYERS:])
        name = f"bench/p{number}-1.0"
        layers = tuple(Made(f"bench/p{below}-1.0", "layer") for below in stacks[-1])
        inputs = tuple(FileInput(f"/luetbuild/{kind}.yaml", f"{number:064x}") for kind in ("definition", "build"))
        nodes[name] = Node(name, Job(layers, inputs, steps=(f"step {number}",)), name)
        nodes[f"{name}:package"] = Node(f"{name}:package", Pack((Made(name, "layer"),), "delta"), name)
    return Plan(nodes, tuple(nodes))


def main() -> None:
    """Measures and prints."""
    plan = make_plan(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
    print(f"{len(plan.nodes)} nodes, {sum(len(node.needs) for node in plan.nodes.values())} needs")
    with tempfile.TemporaryDirectory(prefix="farm-bench", dir="/var/tmp") as folder:
        for _ in range(4):
            with Store(Path(folder)) as store, Journal(Path(folder)) as journal:
                cpu, wall = time.process_time(), time.monotonic()
                summary = run_plan(plan, store, Writer(), journal, Options(jobs=2))
                cpu, wall = time.process_time() - cpu, time.monotonic() - wall
            print(f"{summary.counts}: {cpu:.2f} s CPU, {wall:.2f} s")


if __name__ == "__main__":
    main()
