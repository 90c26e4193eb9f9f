# SPDX-License-Identifier: GPL-3.0-or-later
"""Which runners there are. A new one is one line here."""

from __future__ import annotations

import importlib

from farm.runner.protocol import Runner
from farm.spec.problem import error

RUNNERS: dict[str, str] = {
    "sandbox": "farm.runner.sandbox.runner:Sandbox",
    "docker": "farm.runner.docker:DockerRunner",
}
"""Name on the command line to ``module:class``; loaded only when used."""

DEFAULT = "sandbox"


def platforms_of(name: str) -> tuple[str, ...]:
    """Platforms whose programs a runner of that name runs without an emulator. Both are of this host."""
    from farm.runner.binfmt import native_platforms

    return native_platforms() if name in RUNNERS else ()


def get_runner(name: str) -> Runner:
    """A new runner of that name. FarmError ``unknown-runner``."""
    where = RUNNERS.get(name)
    if where is None:
        known = ", ".join(sorted(RUNNERS))
        raise error("unknown-runner", f"there is no runner {name!r}", hint=f"Use one of: {known}")
    module, _, attribute = where.partition(":")
    runner: Runner = getattr(importlib.import_module(module), attribute)()
    return runner
