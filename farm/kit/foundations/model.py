# SPDX-License-Identifier: GPL-3.0-or-later
"""What a foundations file says, as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from farm.spec.problem import Place, Problem

Stability = Literal["prime", "near-prime", "beta", "alpha", "dev", "current", "deprecated"]
RATINGS: Mapping[Stability, int] = {
    "prime": 0,
    "near-prime": 1,
    "beta": 2,
    "alpha": 3,
    "dev": 4,
    "current": 10,
    "deprecated": 11,
}
"""KitStabilityRating of foundations.py."""

KitType = Literal["auto", "indy"]
"""``auto``: generated of its sources; ``indy``: maintained by hand in its own repository, and never generated."""

NOKIT = "nokit"
"""The kit of all packages that no other kit has."""


@dataclasses.dataclass(frozen=True, slots=True)
class Overlay:
    """A repository that packages come from.

    ``select``: only these packages (None: all). Packages that are in one of the overlays of ``filter`` are left out,
    but those of ``force``. ``eclasses``: names of eclasses that go into each kit that has it as a source.
    ``copyfiles``: pairs of a path in it and a path in the kit.
    """

    name: str
    url: str
    branch: str = "master"
    commit: str = ""
    select: frozenset[str] | None = None
    filter: tuple[str, ...] = ()
    force: frozenset[str] = frozenset()
    eclasses: tuple[str, ...] = ()
    copyfiles: tuple[tuple[str, str], ...] = ()
    place: Place | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Kit:
    """One branch of a kit in a release. ``source`` names the kit source that it is made of."""

    name: str
    branch: str
    source: str = ""
    stability: Stability = "prime"
    type: KitType = "auto"
    place: Place | None = dataclasses.field(default=None, compare=False)

    @property
    def generated(self) -> bool:
        """Whether it is made of its sources."""
        return self.type == "auto" and bool(self.source)


@dataclasses.dataclass(frozen=True, slots=True)
class PythonSettings:
    """Which Python a branch of python-kit prefers, which comes next, and what is masked (empty: nothing)."""

    primary: str
    alternate: str = ""
    mask: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Release:
    """A kit group: kits in the order in which they take packages.

    ``python``: branch of python-kit → settings. ``version``, ``required``: what version.json says.
    """

    name: str
    kits: tuple[Kit, ...]
    python: Mapping[str, PythonSettings] = dataclasses.field(default_factory=dict)
    version: int = 11
    required: tuple[Mapping[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Foundations:
    """A whole file. ``sources``: name of a kit source → its overlays in order, each at its commit or branch.

    ``kit_url``: where the kits are; ``{kit}`` in it is the kit's name.
    """

    file: Path
    overlays: Mapping[str, Overlay]
    sources: Mapping[str, tuple[Overlay, ...]]
    releases: Mapping[str, Release]
    kit_url: str = ""
    problems: tuple[Problem, ...] = ()
