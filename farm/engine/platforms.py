# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this host can run all roots that a plan needs, before any of it is made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from farm.engine.forecast import forecast
from farm.engine.history import History
from farm.plan.job import Job, Seed
from farm.plan.node import Plan
from farm.runner.binfmt import obstacle
from farm.spec.problem import FarmError, Problem

if TYPE_CHECKING:
    from farm.store.store import Store


def require_platforms(plan: Plan, store: Store, history: History) -> None:
    """FarmError with what keeps roots of the plan from running here, unless the store has all that they would make."""
    if problems := obstacles(plan, store, history):
        raise FarmError(problems)


def obstacles(plan: Plan, store: Store, history: History) -> list[Problem]:
    """What keeps roots of the plan from running here, one problem for each platform, as `require_platforms` has it."""
    platforms = dict(_platforms(plan))
    wrong = {platform: found for platform in set(platforms.values()) if (found := obstacle(platform))}
    if not wrong:
        return []
    needed = dict.fromkeys(platforms[name] for name in _to_be_made(plan, store, history, platforms))
    return [wrong[platform] for platform in needed if platform in wrong]


def _platforms(plan: Plan) -> Iterator[tuple[str, str]]:
    """Nodes in whose making programs of a root run, each with the platform of those."""
    for name, node in plan.nodes.items():
        action = node.action
        if (isinstance(action, Job) and action.commands) or (isinstance(action, Seed) and action.kind == "debootstrap"):
            yield name, action.platform


def _to_be_made(plan: Plan, store: Store, history: History, platforms: dict[str, str]) -> list[str]:
    found = forecast(plan, store, history)
    return [name for name in platforms if found[name].fate in ("run", "later")]
