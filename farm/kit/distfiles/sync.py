# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings distfiles to a mirror: what is there and right stays, what is missing or wrong is brought."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from farm.kit.distfiles.backend import Backend
from farm.kit.distfiles.layout import FILE, Layout, layout_conf
from farm.kit.distfiles.patience import patiently
from farm.kit.manifest import Distfile
from farm.spec.problem import FarmError, Problem, error

State = Literal["present", "brought", "missing", "failed"]
"""missing: a dry run, which brings nothing."""


@dataclasses.dataclass(frozen=True, slots=True)
class Supply:
    """A distfile that the mirror has to have, and how to get it: ``fetch`` gives a file of this host, or FarmError."""

    line: Distfile
    fetch: Callable[[], Path]


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What became of a distfile. ``size`` is in bytes."""

    name: str
    state: State
    size: int = 0
    problem: Problem | None = None


def synchronise(
    backend: Backend,
    layout: Layout,
    supplies: Sequence[Supply],
    concurrency: int,
    *,
    size_only: bool = False,
    dry_run: bool = False,
    report: Callable[[Result], None] = lambda _result: None,
) -> list[Result]:
    """Each supply's result, in order. layout.conf is written last, unless nothing may be."""

    def one(supply: Supply) -> Result:
        result = _one(backend, layout, supply, size_only=size_only, dry_run=dry_run)
        report(result)
        return result

    with ThreadPoolExecutor(max(concurrency, 1), "distfiles") as pool:
        results = list(pool.map(one, supplies))
    if not dry_run:
        backend.put_text(FILE, layout_conf([layout]))
    return results


def bring(backend: Backend, layout: Layout, supplies: Sequence[Supply], concurrency: int) -> list[Problem]:
    """The same for files that are at hand: only what went wrong."""
    if not supplies:
        return []
    return [result.problem for result in synchronise(backend, layout, supplies, concurrency) if result.problem]


def _one(backend: Backend, layout: Layout, supply: Supply, *, size_only: bool, dry_run: bool) -> Result:
    line = supply.line
    try:
        path = layout.path(line.name, line.hashes)
        if path is None:
            raise error(
                "no-hash", f"{line.name} has no {layout.hash} in its Manifest, which layout {layout.kind} needs"
            )
        if patiently(lambda: backend.has(path, line, size_only=size_only)):
            return Result(line.name, "present", line.size)
        if dry_run:
            return Result(line.name, "missing", line.size)
        file = supply.fetch()
        patiently(lambda: backend.put(path, file, line))
        return Result(line.name, "brought", line.size)
    except FarmError as failure:
        return Result(line.name, "failed", line.size, failure.problems[0])
    except OSError as fault:
        return Result(line.name, "failed", line.size, Problem("system-error", f"{line.name}: {fault}"))
