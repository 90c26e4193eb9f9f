# SPDX-License-Identifier: GPL-3.0-or-later
"""What the solver is asked, as the search sees it (numbers) and as people do (names)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from farm.spec.closure import Closures
from farm.spec.index import Atom, Index, P
from farm.spec.model import PackageId, Requirement
from farm.spec.world import GOALS, Want

Root = Requirement | PackageId
"""What is asked for: something that satisfies a requirement, or just this package."""


class Question(Generic[P]):
    """``roots`` asked for by ``asker`` (any name, for explanations). It is a `farm.spec.world.World`.

    ``goals`` is what satisfies each root, best first.
    """

    def __init__(self, closures: Closures[P], roots: Sequence[Root], asker: str) -> None:
        self.closures = closures
        self.index: Index[P] = closures.index
        self.roots = roots
        self.asker = asker
        self.goals: tuple[Want, ...] = tuple(self._goal(root) for root in roots)

    def wants(self, number: int) -> Sequence[Want]:
        """What satisfies each requirement of a package, or each root (`GOALS`)."""
        return self.goals if number == GOALS else self.closures.wants(number)

    def rivals(self, number: int) -> frozenset[int]:
        """What cannot be chosen together with a package."""
        return self.index.rivals(number)

    def atom(self, number: int) -> Atom:
        """A package's category and name."""
        return self.index.atom(number)

    def _goal(self, root: Root) -> Want:
        if isinstance(root, Requirement):
            return self.index.fitting(root)
        return (self.index.number[root],) if root in self.index.number else ()

    def requirement(self, number: int, at: int) -> Requirement:
        """What a package (or `GOALS`) wants in its ``at``-th place, as it was written."""
        if number != GOALS:
            return self.closures.requires(self.index.packages[number])[at]
        root = self.roots[at]
        return root if isinstance(root, Requirement) else Requirement(root.category, root.name, root.version)

    def elsewhere(self, requirement: Requirement) -> str:
        """Why something of that name, which there is, is not among the packages; empty: there is nothing."""
        return ""

    def name(self, number: int) -> str:
        """A package's name, or that of who asked."""
        return self.asker if number == GOALS else str(self.index.ids[number])
