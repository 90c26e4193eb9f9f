# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment that every runner gives a job's commands."""

from __future__ import annotations

from farm.plan.job import Job

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def complete_environment(job: Job) -> dict[str, str]:
    """What a command of the job sees: ``job.env`` and what is added where it is unset."""
    return {"HOME": "/root", "PATH": PATH, "FARM_CORES": str(job.limits.cores), **dict(job.env)}
