# SPDX-License-Identifier: GPL-3.0-or-later
"""What every package draws in when each requirement simply takes its best candidate.

In real trees that nearly always fits, and then it is what the search would answer: the best of everything.
Such a *closure* does not depend on who asks, so it is found once and shared by all targets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic

from farm.spec.index import Index, P, Relation
from farm.spec.world import Want


@dataclasses.dataclass(frozen=True, slots=True)
class Closure:
    """Sets of packages as bits by number: the ``members``, and what may not be among them.

    ``barred`` are the members' rivals, and the second-best candidates of other names: if one of them is a
    member, a requirement might rather be satisfied by it. ``level`` is the longest chain below, in steps.
    """

    members: int = 0
    barred: int = 0
    level: int = 0

    @property
    def fits(self) -> bool:
        """Whether the members can be together, and nothing was left to choose."""
        return not self.members & self.barred

    def joined(self, others: Iterable[Closure]) -> Closure:
        """The closure that holds this one and the others, at this one's level."""
        members, barred = self.members, self.barred
        for other in others:
            members |= other.members
            barred |= other.barred
        return Closure(members, barred, self.level)


class Closures(Generic[P]):
    """The closures of an index for one kind of requirement, found as they are asked for."""

    def __init__(self, index: Index[P], requires: Relation[P]) -> None:
        self.index = index
        self.requires = requires
        self._wants: dict[int, tuple[Want, ...]] = {}
        self._known: dict[int, Closure | None] = {}

    def wants(self, number: int) -> tuple[Want, ...]:
        """What satisfies each of a package's requirements, in their order, best first."""
        if number not in self._wants:
            required = self.requires(self.index.packages[number])
            self._wants[number] = tuple(self.index.fitting(one) for one in required)
        return self._wants[number]

    def firsts(self, number: int) -> tuple[int, ...]:
        """The best candidate of each of a package's requirements."""
        return tuple([want[0] for want in self.wants(number)])

    def of(self, wants: Sequence[Want]) -> Closure | None:
        """The closure of all wants together; None if the best of each do not fit together."""
        if not all(wants):
            return None
        below = [self._closure(want[0]) for want in wants]
        whole = Closure(barred=self._passed_over(wants)).joined(c for c in below if c is not None)
        return whole if None not in below and whole.fits else None

    def by_level(self, members: int) -> list[int]:
        """The members of a closure that fits: dependencies first, then by name, category and version."""
        return sorted(bits(members), key=lambda n: known.level if (known := self._known[n]) else 0)

    def _closure(self, start: int) -> Closure | None:
        """Depth first without recursion: chains may be as long as the tree has packages."""
        stack, entered = [start], set[int]()
        while stack:
            number = stack[-1]
            if number in self._known:
                stack.pop()
                continue
            wants = self.wants(number)
            unknown = [want[0] for want in wants if want and want[0] not in self._known]
            if unknown and number not in entered and all(wants):
                entered.add(number)
                stack.extend(unknown)
                continue
            stack.pop()
            self._known[number] = None if unknown else self._make(number, wants)
        return self._known[start]

    def _make(self, number: int, wants: Sequence[Want]) -> Closure | None:
        """A closure out of those below it. None if one of them is none, as it also is for a cycle."""
        below = [self._known[want[0]] if want else None for want in wants]
        known = [closure for closure in below if closure is not None]
        if len(known) < len(below):
            return None
        barred = self._passed_over(wants) | mask(self.index.rivals(number))
        level = 1 + max((closure.level for closure in known), default=0)
        whole = Closure(1 << number, barred, level).joined(known)
        return whole if whole.fits else None

    def _passed_over(self, wants: Iterable[Want]) -> int:
        atom = self.index.atom
        return mask(n for want in wants for n in want[1:] if atom(n) != atom(want[0]))


def mask(numbers: Iterable[int]) -> int:
    """A set of numbers as bits."""
    found = 0
    for number in numbers:
        found |= 1 << number
    return found


def bits(members: int) -> Iterator[int]:
    """The numbers in a set of bits, ascending."""
    while members:
        lowest = members & -members
        yield lowest.bit_length() - 1
        members ^= lowest
