# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trivial job costs in the sandbox, against a bare ``unshare`` + overlay mount + ``chroot`` of the same command.

Usage (as root, on a quiet machine): ``python benchmarks/job_overhead.py [jobs]``. Needs busybox-static.
One worker; both ways are measured in turns in the same run. The job includes the taking of its layer
into the store. Prints milliseconds for one and their ratio.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE.parent), str(_HERE.parent / "tests")]

import job_roots  # noqa: E402

from farm.plan.job import EPOCH, Job  # noqa: E402
from farm.runner.sandbox.runner import Sandbox  # noqa: E402
from farm.store.store import Store  # noqa: E402

_BARE = (
    'mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/u,workdir=$2/w" "$2/r" && exec chroot "$2/r" /bin/sh -c "$3"'
)


def bare(lower: Path, folder: Path, command: str) -> float:
    """Seconds for the command alone in new namespaces on an overlay."""
    for name in ("u", "w", "r"):
        (folder / name).mkdir(parents=True)
    began = time.perf_counter()
    arguments = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", _BARE, "sh", str(lower), str(folder), command]
    subprocess.run(arguments, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measures and prints."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    program = job_roots.busybox()
    if program is None:
        sys.exit("needs busybox-static")
    with tempfile.TemporaryDirectory(prefix="farm-bench", dir="/var/tmp") as name, Store(Path(name, "store")) as store:
        base = store.import_layer(job_roots.busybox_root(program), epoch=EPOCH).digest
        lower = store.layer_path(base)
        runner = Sandbox()
        log = Path(name, "log")
        bares, jobs = [], []
        runner.run(Job(layers=(base,), steps=("true",)), store, log, threading.Event())
        for number in range(count):
            command = f"echo {number} >/made"
            bares.append(bare(lower, Path(name, f"bare{number}"), command))
            began = time.perf_counter()
            outcome = runner.run(Job(layers=(base,), steps=(command,)), store, log, threading.Event())
            jobs.append(time.perf_counter() - began)
            if outcome.status != "ok":
                sys.exit(f"job failed: {outcome}")
        runner.close()
    for label, times in (("bare", bares), ("job", jobs)):
        mean, median = statistics.mean(times) * 1000, statistics.median(times) * 1000
        print(f"{label:5} mean {mean:6.1f} ms  median {median:6.1f} ms")
    print(f"ratio mean {sum(jobs) / sum(bares):.2f}  median {statistics.median(jobs) / statistics.median(bares):.2f}")


if __name__ == "__main__":
    main()
