# SPDX-License-Identifier: GPL-3.0-or-later
"""The parsed form of a template. ``at`` is an offset in the whole source text, shared templates included."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeAlias


@dataclasses.dataclass(slots=True)
class Const:
    """A literal; None stands for ``nil``."""

    at: int
    value: Any


@dataclasses.dataclass(slots=True)
class Dot:
    at: int


@dataclasses.dataclass(slots=True)
class Variable:
    """``$x.a.b``: a slot of the frame, and fields."""

    at: int
    slot: int
    fields: tuple[str, ...]


@dataclasses.dataclass(slots=True)
class Field:
    """``.a.b``"""

    at: int
    fields: tuple[str, ...]


@dataclasses.dataclass(slots=True)
class Chain:
    """``(pipeline).a.b`` or ``function.a.b``"""

    at: int
    node: Operand
    fields: tuple[str, ...]


@dataclasses.dataclass(slots=True)
class Name:
    """The name of a function."""

    at: int
    name: str


@dataclasses.dataclass(slots=True)
class Command:
    at: int
    operands: list[Operand]


@dataclasses.dataclass(slots=True)
class Pipe:
    """``slots`` are the variables that take the value."""

    at: int
    commands: list[Command]
    slots: tuple[int, ...] = ()


Operand: TypeAlias = "Const | Dot | Variable | Field | Chain | Name | Pipe"


@dataclasses.dataclass(slots=True)
class Text:
    at: int
    text: str


@dataclasses.dataclass(slots=True)
class Action:
    at: int
    pipe: Pipe


@dataclasses.dataclass(slots=True)
class Branch:
    """``if``, ``with`` or ``range``"""

    at: int
    kind: str
    pipe: Pipe
    body: list[Node]
    otherwise: list[Node]


@dataclasses.dataclass(slots=True)
class Invoke:
    """``template "name" pipeline``"""

    at: int
    name: str
    pipe: Pipe | None


@dataclasses.dataclass(slots=True)
class Jump:
    """``break`` (1) or ``continue`` (2)"""

    at: int
    code: int


Node: TypeAlias = "Text | Action | Branch | Invoke | Jump"


@dataclasses.dataclass(slots=True)
class Body:
    """One template: its nodes and how many variables its frame holds."""

    nodes: list[Node]
    size: int


@dataclasses.dataclass(slots=True)
class Complaint:
    """What is wrong with the source text at an offset."""

    code: str
    message: str
    at: int
    hint: str = ""


@dataclasses.dataclass(slots=True)
class Unit:
    """A parsed source text.

    ``scope`` maps the variables visible at its end to slots. ``open_end``: its last action trims what follows.
    ``trims_before``: it starts with an action that trims what stands in front of it.
    """

    body: Body
    templates: dict[str, Body]
    complaints: list[Complaint]
    scope: dict[str, int]
    open_end: bool
    trims_before: bool
    mutates: bool


def is_empty(nodes: list[Node]) -> bool:
    """Whether there is nothing but white space: such a template may be defined again."""
    return all(isinstance(node, Text) and not node.text.strip() for node in nodes)
