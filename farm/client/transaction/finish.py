# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a transaction that counts already: emptied folders, finalizers, and the work folders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from farm.client.config import ClientConfig
from farm.client.database import Installed
from farm.client.finalizer import run_script
from farm.client.progress import Progress, Report
from farm.client.transaction.journal import Journal, TransactionFolder
from farm.client.transaction.step import Script
from farm.client.transaction.switch import Switch
from farm.spec.problem import FarmError, Problem

SHELL = ("sh", "-c")
"""What runs a finalizer's commands when it does not say."""


def scripts_of(removed: Iterable[Installed], installed: Iterable[Installed]) -> tuple[Script, ...]:
    """What runs at the end: first for what went, then for all that came, in their order."""
    pairs = [(one, "uninstall") for one in removed] + [(one, "install") for one in installed]
    scripts = (_script(one, when) for one, when in pairs if one.finalizer)
    return tuple(script for script in scripts if script.commands)


def finish(config: ClientConfig, folder: TransactionFolder, journal: Journal, report: Report) -> tuple[Problem, ...]:
    """Ends a transaction after its commit, or what a dead process left of that end: finalizers that failed."""
    with Switch(config.rootfs, ()) as switch:
        switch.remove_empty(journal.emptied)
    begun = folder.begun_scripts()
    failures: list[Problem] = []
    for number, script in enumerate(journal.scripts):
        if number in begun:
            continue
        folder.begin_script(number)
        report(Progress("finalize", script.package, number, len(journal.scripts)))
        try:
            run_script(script, config, report)
        except FarmError as failure:
            failures += failure.problems
    folder.end()
    return tuple(failures)


def _script(package: Installed, when: str) -> Script:
    data: Any = package.finalizer or {}
    shell = tuple(str(word) for word in data.get("shell") or SHELL)
    return Script(str(package.id), when, shell, tuple(str(text) for text in data.get(when) or ()))
