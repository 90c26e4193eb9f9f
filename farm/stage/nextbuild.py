# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stage is to be built next: the one whose last good build is the longest ago (metro's ``nextbuild``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from farm.stage.control import Control, State
from farm.stage.layout import Layout
from farm.stage.model import Stage


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A stage, and whether it is to be built. ``age`` in seconds since its last good build; None: there is none."""

    stage: Stage
    state: State
    age: float | None
    fate: str
    why: str

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        release = dataclasses.asdict(self.stage.release)
        state = dataclasses.asdict(self.state)
        return {"stage": self.stage.name, **release, "age": self.age, "fate": self.fate, "why": self.why, **state}


def candidates(stages: Sequence[Stage], layout: Layout, now: float, fresh: float) -> list[Candidate]:
    """All stages, the one to be built next first. ``fresh``: seconds for which a good build is new enough."""
    control = Control(layout)
    found = [_candidate(stage, layout, control, now, fresh) for stage in stages]
    return sorted(found, key=lambda one: (one.fate != "build", one.age is not None, -(one.age or 0), one.stage.name))


def _candidate(stage: Stage, layout: Layout, control: Control, now: float, fresh: float) -> Candidate:
    state = control.state(stage.release)
    latest = layout.latest(stage.release)
    built = state.built or (latest.folder.stat().st_mtime if latest else 0.0)
    age = max(0.0, now - built) if latest else None
    if state.pause_until > now:
        why = f"{state.failures} failures in a row ({state.reason}); not before {_moment(state.pause_until)}"
        return Candidate(stage, state, age, "paused", why)
    if age is not None and age < fresh:
        return Candidate(stage, state, age, "fresh", f"its last good build is {_span(age)} old")
    why = "it was never built" if age is None else f"its last good build is {_span(age)} old"
    return Candidate(stage, state, age, "build", why)


def _span(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"


def _moment(time: float) -> str:
    import datetime

    return datetime.datetime.fromtimestamp(time, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
