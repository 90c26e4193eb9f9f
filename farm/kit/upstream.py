# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest version that upstream has of each package of an autogen specification. Nothing is downloaded or made."""

from __future__ import annotations

import threading
from pathlib import Path

from farm.kit.autogen.command import Request, generate_all, workshop_of
from farm.kit.autogen.specfile import read_specification
from farm.kit.run import RunOptions
from farm.kit.specfile import read_kit_spec
from farm.spec.problem import Problem


def newest_versions(
    specfile: Path, kitfile: Path, run: RunOptions, store: Path, problems: list[Problem]
) -> dict[str, str]:
    """``category/name`` → version. What could not be asked is a warning in ``problems``."""
    specification = read_specification(specfile)
    target = read_kit_spec(kitfile).target
    if target is None:
        return {}
    request = Request(specfile, kitfile, run, thin=True, store=store)
    with workshop_of(request, specification, target, lambda _line: None, threading.Event()) as workshop:
        report = generate_all(request, specification, workshop, lambda _chosen: True)
    for outcome in report.outcomes:
        for problem in outcome.problems if outcome.status == "failed" else ():
            message = f"{outcome.atom.catpkg}: upstream cannot be asked: {problem.message}"
            problems.append(Problem(problem.code, message, problem.place, problem.hint, "warning"))
    return {outcome.atom.catpkg: outcome.version for outcome in report.outcomes if outcome.version}
