# SPDX-License-Identifier: GPL-3.0-or-later
"""All jobs of a file at a glance, each with what is wrong with it."""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

from farm.spec.problem import FarmError, Problem
from farm.stage.metro.render import render_job
from farm.stage.metro.specfile import SpecFile, WrittenJob, read_specfile


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """A job: what its root is made of, and where its tarball goes (as written, when it cannot be rendered)."""

    name: str
    source: str
    output: str
    problems: tuple[Problem, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        problems = [problem.to_json() for problem in self.problems]
        return {"name": self.name, "source": self.source, "output": self.output, "problems": problems}


def overview(specfile: Path) -> list[Shown]:
    """The jobs in the order of the file. FarmError when its structure is wrong."""
    file = read_specfile(specfile)
    now = datetime.datetime.now(datetime.UTC)
    return [_shown(file, job, now) for job in file.jobs]


def _shown(file: SpecFile, written: WrittenJob, now: datetime.datetime) -> Shown:
    source = str((written.data.get("source") or {}).get("type") or "")
    try:
        job, warnings = render_job(file, written.name, now)
    except FarmError as failure:
        return Shown(written.name, source, str((written.data.get("output") or {}).get("name") or ""), failure.problems)
    return Shown(written.name, source, str(job.output.file), warnings)
