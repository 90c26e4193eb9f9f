# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of a run under anise's names, beside the store."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

from farm.cli.session import Session
from farm.engine.summary import Summary
from farm.plan.job import Pack
from farm.plan.node import Plan
from farm.plan.recipe import SUFFIX


@dataclasses.dataclass(frozen=True, slots=True)
class Delivered:
    """A package that was asked for and is there. ``size`` in bytes."""

    package: str
    file: Path
    sha256: str
    size: int


def deliver(plan: Plan, summary: Summary, session: Session) -> list[Delivered]:
    """The packages that were asked for and made. With a destination, they are put there whole or not at all."""
    destination = session.settings.destination
    if destination:
        destination.mkdir(parents=True, exist_ok=True)
    names = {str(package): package.fingerprint for package in session.tree.packages}
    packages = []
    for node in plan.targets:
        result, action = summary.made.get(node), plan.nodes[node].action
        if result is None or result.package is None or not isinstance(action, Pack):
            continue
        package = plan.nodes[node].package or node
        file = session.store.blob_path(result.package)
        if destination:
            name = f"{names[package]}.package.tar{SUFFIX[action.compression]}"
            file = _put(file, destination / name)
        packages.append(Delivered(package, file, result.package, result.size))
    return packages


def _put(blob: Path, file: Path) -> Path:
    """Copies a blob to a file, unless the same bytes seem to be there, switching in one step."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        shutil.copyfile(blob, part)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return file
