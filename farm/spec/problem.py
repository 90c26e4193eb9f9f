# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors as values: what is wrong, where, and how to mend it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal

Severity = Literal["error", "warning"]


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file the user wrote. Line and column count from 1; 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        parts = [self.file] + [str(n) for n in (self.line, self.column) if n]
        return ":".join(parts)


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One finding.

    ``code`` is stable, in kebab-case, and what tests and scripts compare (never the message).
    ``package`` names the package (``category/name-version``) that cannot be used because of it; None
    means that the finding belongs to no single package.
    """

    code: str
    message: str
    place: Place | None = None
    hint: str = ""
    severity: Severity = "error"
    package: str | None = None

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        hint = f"\n  {self.hint}" if self.hint else ""
        return f"{where}{self.severity}: {self.message} [{self.code}]{hint}"

    def to_json(self) -> dict[str, Any]:
        """The finding as plain data for ``--json``."""
        place = self.place or Place("")
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "hint": self.hint,
            "file": place.file,
            "line": place.line,
            "column": place.column,
            "package": self.package,
        }


class FarmError(Exception):
    """One or more problems that stop the current work. ``transient`` says whether a retry can help."""

    def __init__(self, problems: Problem | Iterable[Problem], *, transient: bool = False) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        self.transient = transient
        super().__init__("\n".join(str(p) for p in self.problems))

    @property
    def code(self) -> str:
        """The code of the first problem."""
        return self.problems[0].code


def error(code: str, message: str, *, place: Place | None = None, hint: str = "", transient: bool = False) -> FarmError:
    """A FarmError of a single problem, ready to be raised."""
    return FarmError(Problem(code, message, place, hint), transient=transient)
