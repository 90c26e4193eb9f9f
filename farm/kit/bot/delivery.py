# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each unit, and how a run ends."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from farm.kit.unit import Unit
from farm.spec.problem import Problem

State = Literal["committed", "pushed", "opened", "updated", "queued", "declined", "by-hand", "failed", "planned"]
"""planned: a dry run; committed: not pushed; pushed: on the branch; opened, updated: its pull request was; queued: its
pull request is open and says the same; declined: somebody closed it unmerged; by-hand: somebody changed it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Delivered:
    """One unit, what became of it, and the commit or the pull request's URL."""

    unit: Unit
    state: State
    commit: str = ""
    url: str = ""
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        unit = self.unit
        return {"kind": unit.kind, "subject": str(unit.ebuild or unit.subject), "state": self.state,
                "branch": unit.branch, "title": unit.title, "commit": self.commit, "url": self.url,
                "why": self.why}  # fmt: skip


@dataclasses.dataclass
class Report:
    """A run's end. ``problems`` has warnings and errors; an error means that a part failed.

    ``head`` is the target's commit afterwards; ``closed`` are URLs or numbers of pull requests that were closed.
    """

    delivered: list[Delivered] = dataclasses.field(default_factory=list)
    closed: list[str] = dataclasses.field(default_factory=list)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    head: str = ""
    diff: str = ""

    @property
    def failed(self) -> bool:
        """Whether any part failed."""
        return any(problem.severity == "error" for problem in self.problems)

    @property
    def changed(self) -> bool:
        """Whether anything was written anywhere."""
        return bool(self.closed) or any(d.state in ("committed", "pushed", "opened", "updated") for d in self.delivered)

    def news(self) -> list[str]:
        """What others want to hear of: what was pushed or asked for, and what failed; a line each."""
        told = [d for d in self.delivered if d.state in ("pushed", "opened", "updated")]
        done = [f"[{d.unit.subject}] {d.unit.title} {d.url}".rstrip() for d in told]
        errors = [problem for problem in self.problems if problem.severity == "error"]
        return [*done, *(f"[{problem.package or problem.code}] {problem.message}" for problem in errors)]

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "changed": self.changed,
            "failed": self.failed,
            "head": self.head,
            "delivered": [delivered.to_json() for delivered in self.delivered],
            "closed": self.closed,
            "problems": [problem.to_json() for problem in self.problems],
        }
