# SPDX-License-Identifier: GPL-3.0-or-later
"""What the core is told and what it answers: tasks, capacity, happenings, instructions. Plain data."""

from __future__ import annotations

import dataclasses
from typing import Literal

from farm.runner.protocol import Status


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """A node as the scheduler sees it. ``seconds`` is a guess of its duration, ``memory`` in bytes."""

    id: str
    needs: tuple[str, ...] = ()
    seconds: float = 1.0
    cores: int = 1
    memory: int = 0
    fetch: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Capacity:
    """What may be used at a time: number of jobs, declared cores, declared bytes of memory, and fetches."""

    jobs: int = 1
    cores: int = 1
    memory: int = 1 << 62
    fetches: int = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Begin:
    """The run begins."""


@dataclasses.dataclass(frozen=True, slots=True)
class Looked:
    """The answer to `Look`: which nodes the cache has, which must be made (`Ended` tells of the others)."""

    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """A node came to its end."""

    node: str
    status: Status


@dataclasses.dataclass(frozen=True, slots=True)
class Away:
    """A started node gave its place back: another farm is making the same."""

    node: str


@dataclasses.dataclass(frozen=True, slots=True)
class Back:
    """The other farm gave up the node: it has to be made here."""

    node: str


@dataclasses.dataclass(frozen=True, slots=True)
class Pressed:
    """The host is, or is no longer, short of memory or I/O."""

    pressed: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Resized:
    """The capacity changed. What runs goes on, even when it is more than the new capacity."""

    capacity: Capacity


@dataclasses.dataclass(frozen=True, slots=True)
class Cancelled:
    """The user wants the run to end: nothing new starts."""


Happening = Begin | Looked | Ended | Away | Back | Pressed | Resized | Cancelled


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """Look these nodes up in the cache; their needs are made."""

    nodes: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """Make this node now."""

    node: str


@dataclasses.dataclass(frozen=True, slots=True)
class Drop:
    """This node will not be made: ``blocked`` by the failure of node ``by``, or ``skipped``."""

    node: str
    status: Literal["blocked", "skipped"]
    by: str = ""


Instruction = Look | Start | Drop
