# SPDX-License-Identifier: GPL-3.0-or-later
"""Which choice a search makes next: the one that makes the answer the best, or one that gets on.

A literal ``n + 1`` says that package ``n`` is chosen, ``-(n + 1)`` that it is not (see `farm.spec.search`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from farm.spec.world import GOALS, Want, World


class Walk:
    """Goes through the wants from the goals on, along what is chosen, and stops where a choice is due."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.reached: set[int] = set()
        self.wants: list[Want] = []
        self.deferred: list[Want] = []
        self.at = self.deferred_at = 0
        self._meet(GOALS)

    def next(self, true: set[int]) -> int | None:
        """The package to choose next; None when everything is satisfied."""
        while self.at < len(self.wants) or self.deferred_at < len(self.deferred):
            if self.at < len(self.wants):
                want = self.wants[self.at]
                chosen = next((n for n in want if n + 1 in true), None)
            else:
                want = self.deferred[self.deferred_at]
                chosen = next((n for n in want if n in self.reached), None)
            best = next(n for n in want if -(n + 1) not in true) if chosen is None else chosen
            if best + 1 not in true:
                return best
            if self.at < len(self.wants):
                self.at += 1
            else:
                self.deferred_at += 1
            self._reach(best)
        return None

    def _reach(self, number: int) -> None:
        if number not in self.reached:
            self.reached.add(number)
            self._meet(number)

    def _meet(self, number: int) -> None:
        for want in self.world.wants(number):
            if want is not None:
                one_name = len({self.world.atom(n) for n in want}) < 2
                (self.wants if one_name else self.deferred).append(want)


class Scout:
    """Looks for any solution at all below what the walk has chosen, most contested wants first.

    The walk's order is what makes the answer the best one, but it can be a bad order to find out that there is
    none. So after some conflicts the walk starts anew, and where it first leaves the last solution known, one is
    looked for that goes on as the walk wants to. ``base`` is the level of that choice while scouting.
    """

    PATIENCE = 500
    """Conflicts of the walk before scouting."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.base: int | None = None
        self._due = False
        self._solution: set[int] | None = None
        self._conflicts = 0
        self._blame: defaultdict[int, float] = defaultdict(float)
        self._step = 1.0

    def blame(self, variable: int) -> None:
        """Notes that a package had a part in a conflict; the latest conflicts count most."""
        self._blame[variable] += self._step

    def met_conflict(self, level: int) -> int:
        """Takes note of a conflict that is resolved at ``level``; the level to go back to."""
        self._forget_slowly()
        if self.base is not None:
            self.base = None if level < self.base else self.base
            return level
        self._conflicts += 1
        if self._conflicts % self.PATIENCE or self._due:
            return level
        self._due = True
        self.base = 0 if self._solution is None else None
        return 0

    def doubts(self, choice: int) -> bool:
        """Whether it is time to find out if there is a solution with this choice."""
        return self._due and self._solution is not None and choice + 1 not in self._solution

    def found(self, true: set[int]) -> int:
        """Takes note of a solution and ends scouting; the level to go back to."""
        level = self.base or 0
        self._solution = {literal for literal in true if literal > 0}
        self._due, self.base = False, None
        return level

    def next(self, trail: Sequence[int], true: set[int]) -> int | None:
        """The package to try next; None when all that is chosen is satisfied."""
        best, least = None, 0.0
        for number in (GOALS, *(literal - 1 for literal in trail if literal > 0)):
            for want in self.world.wants(number):
                if want is None or any(n + 1 in true for n in want):
                    continue
                left = [n for n in want if -(n + 1) not in true]
                score = len(left) / (1e-9 + sum(self._blame.get(n + 1, 0.0) for n in left))
                if best is None or score < least:
                    best, least = left[0], score
        return best

    def _forget_slowly(self) -> None:
        self._step *= 1.05
        if self._step > 1e100:
            self._step, self._blame = 1.0, defaultdict(float)
