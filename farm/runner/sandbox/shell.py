# SPDX-License-Identifier: GPL-3.0-or-later
"""An interactive shell in the root of a job that failed."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from farm.plan.job import Job
from farm.runner.cgroup import JobGroup
from farm.runner.machine import check_machine
from farm.runner.sandbox.init import SHELL
from farm.runner.sandbox.runner import bound, make_request, prepare
from farm.runner.sandbox.start import spawner_command
from farm.store.store import Store


def enter(job: Job, store: Store, upper: Path, argv: Sequence[str] = (SHELL,)) -> int:
    """Runs ``argv`` on this process's terminal, in the job's root with the changed files ``upper``: its exit code.

    Root, environment, network and rights are those of the job; ``TERM`` is added, no limit is set. What is changed
    stays in ``upper``. Ends with this process. OSError when the helper cannot be started, FarmError as
    `check_machine`.
    """
    with store.scratch("shell") as scratch:
        lowers = prepare(scratch, job, store, upper)
        check_machine(job.platform, lowers)
        unlimited = dataclasses.replace(job, limits=dataclasses.replace(job.limits, memory=None))
        request = make_request(unlimited, scratch, len(lowers), JobGroup({}), bound(job, store))
        env = {"TERM": os.environ.get("TERM", "linux"), **request.env}
        request = dataclasses.replace(request, shell=tuple(argv), commands=(), env=env, rlimit_processes=None)
        memory = request.to_memory()
        try:
            command = spawner_command("shell", str(memory))
            return subprocess.run(command, pass_fds=(memory,), check=False).returncode
        finally:
            os.close(memory)
