# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of a run under anise's names, beside the store."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from farm.cli.session import Session
from farm.engine.summary import Summary
from farm.plan.job import Pack
from farm.plan.node import Plan
from farm.plan.recipe import tarball_name
from farm.spec.platform import USUAL
from farm.spec.problem import FarmError, Problem, error
from farm.store.outputs import put_blob, told
from farm.wagon.metadata import SUFFIX as METADATA
from farm.wagon.metadata import read_metadata


@dataclasses.dataclass(frozen=True, slots=True)
class Delivered:
    """A package that was asked for and is there. ``size`` in bytes."""

    package: str
    file: Path
    sha256: str
    size: int


def prepare(destination: Path | None) -> None:
    """Makes the destination before anything is built. FarmError ``bad-destination`` when nothing can be put there."""
    if destination is None:
        return
    try:
        destination.mkdir(parents=True, exist_ok=True)
        writable = os.access(destination, os.W_OK | os.X_OK)
    except OSError as failure:
        raise error("bad-destination", f"{destination}: {failure.strerror}") from failure
    if not writable:
        raise error("bad-destination", f"{destination} cannot be written to")


def deliver(plan: Plan, summary: Summary, session: Session) -> list[Delivered]:
    """The packages that were asked for and made. With a destination, they are put there whole or not at all.

    FarmError with all that could not be put there: ``damaged-blob``, ``disk-full``, ``not-delivered``,
    ``foreign-package`` (it has one for another platform there).
    """
    destination = session.settings.destination
    prepare(destination)
    names = {str(package): package.fingerprint for package in session.tree.packages}
    packages = []
    problems: list[Problem] = []
    for node in plan.targets:
        result, action = summary.made.get(node), plan.nodes[node].action
        if result is None or result.package is None or not isinstance(action, Pack):
            continue
        package = plan.nodes[node].package or node
        try:
            file = session.store.blob_path(result.package)
            if destination:
                _check_platform(destination / f"{names[package]}{METADATA}", session.stated_platform())
                file = destination / tarball_name(names[package], action.compression)
                with told(file):
                    put_blob(session.store, result.package, file)
        except FarmError as failure:
            problems += failure.problems
        else:
            packages.append(Delivered(package, file, result.package, result.size))
    if problems:
        raise FarmError(problems)
    return packages


def _check_platform(described: Path, platform: str) -> None:
    """Packages of two platforms have the same file names: one must not take the place of the other unseen."""
    try:
        there = read_metadata(described, brief=True).platform if described.exists() else platform
    except FarmError:
        return
    if (there or USUAL) != (platform or USUAL):
        message = f"{described.parent} has {described.name.removesuffix(METADATA)} for {there or USUAL}"
        raise error("foreign-package", message, hint="name another --destination for each platform")
