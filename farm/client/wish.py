# SPDX-License-Identifier: GPL-3.0-or-later
"""The solver's question of a client: what is asked for, together with what is installed and is to stay.

The packages that may be chosen are the installed ones and those of the wagons. What is preferred is in the order of
each want: the search (farm/spec/search.py) takes the first with which a solution exists.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from farm.client.change import Candidate
from farm.client.database import Installed
from farm.spec.closure import Closures
from farm.spec.explain import explain
from farm.spec.index import Index
from farm.spec.model import PackageId, Requirement
from farm.spec.question import Question
from farm.spec.search import Hopeless, search
from farm.spec.world import GOALS, Want

SYSTEM = "this system"
"""Who asks for what is wanted, in explanations."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Offer:
    """A package that may be in the root: one that is there (``installed``), one that can be brought, or both.

    With both, to choose it means that it stays as it is, unless ``renew``: then the wagon's takes its place.
    """

    id: PackageId
    requires: tuple[Requirement, ...]
    conflicts: tuple[Requirement, ...]
    provides: tuple[Requirement, ...]
    installed: Installed | None = None
    candidate: Candidate | None = None
    renew: bool = False

    @property
    def stays(self) -> bool:
        """Whether it is in the root already and nothing is to be done."""
        return self.installed is not None and not self.renew


Order = Callable[[int], tuple[int, ...]]
"""What a package is preferred by when several satisfy a want: the least first, ties as the index has them."""


class Wish(Question[Offer]):
    """``roots`` are to be satisfied, and something of each name in ``keep`` has to be there.

    ``keep`` maps names to what may stand for them, best first. ``prefer`` says what a want takes first. ``foreign``
    tells of names (``category/name``) that cannot be chosen why that is so.
    """

    def __init__(
        self,
        index: Index[Offer],
        roots: Sequence[Requirement],
        keep: Mapping[PackageId, Want],
        prefer: Order,
        only: Mapping[int, frozenset[int]],
        foreign: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._foreign = foreign
        self._prefer = prefer
        self._known: dict[int, tuple[Want, ...]] = {}
        self._rivals: dict[int, frozenset[int]] = {}
        super().__init__(Closures(index, self._requires), roots, SYSTEM)
        goals = [tuple(n for n in want if n in only.get(at, want)) for at, want in enumerate(self.goals)]
        kept = [Requirement(one.category, one.name) for one in keep]
        self.roots = (*roots, *kept)
        self.goals = (*(self._ordered(goal) for goal in goals), *keep.values())

    def wants(self, number: int) -> Sequence[Want]:
        """What satisfies each requirement, the preferred first."""
        if number == GOALS:
            return self.goals
        if number not in self._known:
            self._known[number] = tuple(self._ordered(want) for want in self.closures.wants(number))
        return self._known[number]

    def rivals(self, number: int) -> frozenset[int]:
        """What excludes a package. Those that are installed together already do not exclude each other."""
        if number not in self._rivals:
            found = self.index.rivals(number)
            if self.index.packages[number].stays:
                packages, atom = self.index.packages, self.index.atom
                found = frozenset(n for n in found if not packages[n].stays or atom(n) == atom(number))
            self._rivals[number] = found
        return self._rivals[number]

    def elsewhere(self, requirement: Requirement) -> str:
        """What there is of a name for other platforms."""
        return self._foreign.get(requirement.atom, "")

    def below(self, number: int, chosen: set[int]) -> list[int]:
        """What of the chosen satisfies the wants of a package."""
        found = (next((n for n in want if n in chosen), None) for want in self.wants(number))
        return [n for n in found if n is not None]

    def _requires(self, offer: Offer) -> tuple[Requirement, ...]:
        """What a package needs. What one that stays misses already, it goes on missing."""
        if not offer.stays:
            return offer.requires
        packages, fitting = self.index.packages, self.index.fitting
        return tuple(one for one in offer.requires if any(packages[n].installed for n in fitting(one)))

    def _ordered(self, want: Want) -> Want:
        return want if len(want) < 2 else tuple(sorted(want, key=self._prefer))

    def answer(self) -> set[int]:
        """Numbers of what is to be in the root because of what is wanted. FarmError as `farm.spec.solver.solve`."""
        try:
            return search(self)
        except Hopeless as hopeless:
            raise explain(self, hopeless) from None


def in_order(chosen: Iterable[int], below: Callable[[int], Iterable[int]]) -> list[int]:
    """What was chosen, dependencies first as far as cycles allow; those that are alike, lowest number first.

    Depth first from the lowest number on: of a cycle, who is met first comes last.
    """
    wanted = set(chosen)
    done: dict[int, None] = {}
    for start in sorted(wanted):
        _visit(start, below, done)
    return [n for n in done if n in wanted]


def _visit(start: int, below: Callable[[int], Iterable[int]], done: dict[int, None]) -> None:
    entered: set[int] = set()
    stack = [(start, False)]
    while stack:
        number, leaving = stack.pop()
        if leaving:
            done[number] = None
        elif number not in done and number not in entered:
            entered.add(number)
            stack.append((number, True))
            stack.extend((n, False) for n in sorted(below(number), reverse=True))
