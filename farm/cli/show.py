# SPDX-License-Identifier: GPL-3.0-or-later
"""How things are written for a person to read, the same in every command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import click

from farm.runner.protocol import Failure
from farm.spec.problem import Problem
from farm.spec.quantity import size_text

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
"""Terminal escape sequences (ECMA-48): CSI, OSC, and those of two characters."""


def print_problems(problems: Iterable[Problem], *, err: bool = True) -> None:
    """Each problem, on standard error unless told: place, severity, message, code, and how to mend it."""
    for problem in problems:
        click.echo(render_problem(problem), err=err)


def render_problem(problem: Problem) -> str:
    """A problem with its severity in colour (click drops colours where there is no terminal)."""
    where = click.style(f"{problem.place}: ", bold=True) if problem.place else ""
    colour = "red" if problem.severity == "error" else "yellow"
    severity = click.style(f"{problem.severity}:", fg=colour, bold=True)
    hint = "".join(f"\n    {line}" for line in problem.hint.splitlines())
    return f"{where}{severity} {problem.message} [{problem.code}]{hint}"


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def printable(text: str) -> str:
    """A line of a log without escape sequences and control characters, with which a job could trouble the terminal."""
    return "".join(c if c.isprintable() or c == "\t" else " " for c in _ESCAPE.sub("", text))


def shortened(text: str, lines: int = 20, characters: int = 2000) -> str:
    """The beginning of a text that is too long to be shown, and how much is left out."""
    shown = "\n".join(text.splitlines()[:lines])[:characters]
    left = len(text.rstrip()) - len(shown)
    return f"{shown} … ({left} more characters)" if left > 0 else shown


size = size_text
"""Bytes, as `3.4 MiB`."""


def duration(seconds: float) -> str:
    """Seconds, as `0.3 s`, `42 s`, `3 min 05 s` or `1 h 02 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def plural(count: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


REASONS = {
    "exit": "exit status {code}",
    "signal": "killed by a signal (exit status {code})",
    "memory": "used more memory than its limit (resources: {memory: …})",
    "processes": "had too many processes",
    "disk": "used more disk than its limit (resources: {disk: …}), or the store's disk was about to be full",
    "timeout": "took longer than its limit (resources: {timeout: …})",
    "silent": "wrote nothing for longer than its limit (resources: {silent-timeout: …})",
    "cancelled": "was cancelled",
    "no-shell": "there is no /bin/sh in its root that can be run",
    "no-workdir": "its working directory is gone",
    "bad-root": "its root has a file where /dev, /etc, /proc or /sys has to be a folder",
    "too-long": "a command is longer than the 128 KiB that the kernel takes",
}
"""What a runner's one-word reasons mean."""


def why(failure: Failure) -> str:
    """Why a job failed, in words."""
    return REASONS.get(failure.reason, failure.reason).replace("{code}", str(failure.exit_code))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns as wide as their widest cell."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
