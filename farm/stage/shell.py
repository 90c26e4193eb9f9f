# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell in the root of a stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from farm.engine.making import Makers
from farm.engine.origin import Known
from farm.plan.job import Job, Made
from farm.plan.node import Node
from farm.plan.recipe import PRESET
from farm.spec.assignment import assignment
from farm.spec.problem import error

if TYPE_CHECKING:
    from farm.stage.plan import StagePlan
    from farm.store.store import Store


def enter_root(planned: StagePlan, store: Store, makers: Makers, argv: Sequence[str]) -> int:
    """Runs ``argv`` on this terminal in the root of the last stage of the plan: its exit code.

    It has the stage's environment and a network. What it changes is thrown away. FarmError ``not-built``.
    """
    from farm.runner.sandbox.shell import enter

    last = planned.stages[-1]
    known = Known(planned.plan, store, makers)
    missing = [layer.node for layer in last.root if layer.node not in known.results]
    if missing:
        hint = f"build it: farm stage build {last.stage.name}"
        raise error("not-built", f"the root of {last.stage.name} is not built as it is written now", hint=hint)
    lines = tuple(assignment(name, value) for name, value in last.stage.environment)
    layers: tuple[Made, ...] = last.root
    job = Job(layers, network=True, platform=last.stage.platform, workdir="/", keep_workdir=True, fresh_workdir=False)
    action = Node("shell", job, None, lines, last.seeds, PRESET).resolve(known.results)
    assert isinstance(action, Job)
    with store.scratch("stage-shell") as folder:
        upper = folder / "upper"
        upper.mkdir(mode=0o755)
        return enter(action, store, upper, tuple(argv))
