# SPDX-License-Identifier: GPL-3.0-or-later
"""A program for test_sandbox_rootless.py: as an ordinary user, runs jobs in the sandbox and tells what they made.

Arguments: a folder for the store and logs, the root tarballs. Prints JSON: ``layers`` by change, ``outputs``.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from farm.plan.job import EPOCH, Limits
from farm.runner.rootless import ensure_privileges, is_rootless
from farm.runner.sandbox.runner import Sandbox
from farm.store.store import Store

_OUTPUTS = {
    "ids": "id -u; id -g; id -G; chown 1234:5678 /luetbuild && stat -c %u:%g /luetbuild",
    "null": "echo x >/dev/null; chmod 600 /dev/null 2>/dev/null; stat -c %a /dev/null",
    "tty": "(: </dev/tty) 2>/dev/null && echo yes || echo no",
    "loopback": "ping -c 1 -W 5 127.0.0.1 >/dev/null && echo up; hostname",
    "pts": "ls /dev/pts; mount | grep -c devpts",
}


def main() -> None:
    """Runs everything, inside the user namespace."""
    ensure_privileges(sys.argv)
    from job_bench import Bench
    from job_changes import CHANGES

    folder = Path(sys.argv[1])
    runner = Sandbox()
    runner.check()
    with Store(folder / "store") as store:
        base, python = (store.import_layer(Path(path), epoch=EPOCH).digest for path in sys.argv[2:4])
        bench = Bench(runner, store, base, folder)
        made: dict[str, object] = {"uid": os.getuid(), "rootless": is_rootless()}
        made["outputs"] = {name: bench.output(text).decode() for name, text in _OUTPUTS.items()}
        layers = {}
        for change in (c for c in CHANGES if not c.node):
            below = (python,) if change.python else ()
            if change.before:
                below += (bench.layer(*change.before, layers=below),)
            layers[change.name] = bench.layer(*change.steps, layers=below)
        made["layers"] = layers
        made["timeout"] = bench.run("sleep 100", limits=Limits(timeout=1))[0].status
        cancel = threading.Event()
        threading.Timer(0.5, cancel.set).start()
        made["cancel"] = bench.run("sleep 100", cancel=cancel)[0].status
        outcome, _ = bench.run(
            "i=0; while [ $i -lt 99 ]; do sleep 9 & i=$((i+1)); done", limits=Limits(processes=60, timeout=60)
        )
        made["processes"] = outcome.status
    runner.close()
    print(json.dumps(made))


if __name__ == "__main__":
    main()
