# SPDX-License-Identifier: GPL-3.0-or-later
"""A search for packages that fit together, over bare numbers: conflict-driven clause learning.

What is wanted is one of several packages, in order of preference. A *clause* is a list of literals of
which one must be true; literal ``n + 1`` says that package ``n`` is chosen, ``-(n + 1)`` that it is not. What a
package wants becomes clauses only when it is first chosen, so the search touches no more than it must.

The answer does not depend on how the search went: wants are satisfied in the order in which a walk from the
goals meets them (those with several names to choose from last, and by what is already there if possible),
each by the best package with which, after the choices made before, a solution still exists.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

GOALS = -1
"""In place of a package's number: the one that wants the goals."""

Want = tuple[int, ...]
Origin = tuple[Literal["want", "rivals"], int, int]
"""Why a clause holds: package ``a`` has its ``b``-th want, or packages ``a`` and ``b`` exclude each other."""


class World(Protocol):
    """What the search has to know. Answers must never change."""

    def wants(self, number: int) -> Sequence[Want | None]:
        """What a package (or `GOALS`) needs: one of each of these, the best first. None: nothing."""

    def rivals(self, number: int) -> Iterable[int]:
        """What cannot be chosen together with a package; other versions of it are among them."""

    def atom(self, number: int) -> object:
        """A package's name: packages with the same name are rivals."""


class Hopeless(Exception):
    """Nothing fits. ``core`` is why: these facts cannot all hold."""

    def __init__(self, core: frozenset[Origin]) -> None:
        self.core = core
        super().__init__(f"{len(core)} facts contradict each other")


@dataclasses.dataclass(slots=True, eq=False)
class _Clause:
    """The first two literals are watched. ``parents``: what a learned clause follows from."""

    literals: list[int]
    origin: Origin | None = None
    parents: tuple[_Clause, ...] = ()


def search(world: World) -> set[int]:
    """The packages that satisfy the goals, and no others. Raises `Hopeless`."""
    return _Search(world).run()


class _Search:
    def __init__(self, world: World) -> None:
        self.world = world
        self.true: set[int] = set()
        self.trail: list[int] = []
        self.head = 0
        self.limits: list[int] = []
        self.level: dict[int, int] = {}
        self.reason: dict[int, _Clause | None] = {}
        self.watches: defaultdict[int, list[_Clause]] = defaultdict(list)
        self.stated: set[int] = set()
        self.walk = _Walk(world)
        self.scout = _Scout(world)

    def run(self) -> set[int]:
        conflict = self._state(GOALS)
        while True:
            conflict = conflict or self._propagate()
            if conflict is not None:
                self._resolve(conflict)
                conflict = None
                continue
            choice = self._choose()
            if choice is None:
                return self.walk.reached
            self.limits.append(len(self.trail))
            self._assign(choice + 1, None)

    def _choose(self) -> int | None:
        """The next package of the walk. When it is in doubt, first scouts for any solution that has it."""
        if self.scout.base is not None:
            choice = self.scout.next(self.trail, self.true)
            if choice is not None:
                return choice
            self._undo(self.scout.found(self.true))
        choice = self.walk.next(self.true)
        if choice is not None and self.scout.doubts(choice):
            self.scout.base = len(self.limits) + 1
        return choice

    def _assign(self, literal: int, reason: _Clause | None) -> None:
        self.true.add(literal)
        self.trail.append(literal)
        self.level[abs(literal)] = len(self.limits)
        self.reason[abs(literal)] = reason

    def _propagate(self) -> _Clause | None:
        """Draws all conclusions; the clause that cannot hold, if there is one."""
        while self.head < len(self.trail):
            literal = self.trail[self.head]
            self.head += 1
            conflict = self._exclude(literal - 1) or self._state(literal - 1) if literal > 0 else None
            conflict = conflict or self._visit(-literal)
            if conflict is not None:
                return conflict
        return None

    def _exclude(self, number: int) -> _Clause | None:
        for rival in self.world.rivals(number):
            if -(rival + 1) in self.true:
                continue
            clause = _Clause([-(rival + 1), -(number + 1)], ("rivals", number, rival))
            if rival + 1 in self.true:
                return clause
            self._assign(-(rival + 1), clause)
        return None

    def _state(self, number: int) -> _Clause | None:
        """Makes clauses of what a package wants, once. All of them, even after one that cannot hold."""
        if number in self.stated:
            return None
        self.stated.add(number)
        conflict = None
        for at, want in enumerate(self.world.wants(number)):
            if want is None:
                continue
            owner = [] if number == GOALS else [-(number + 1)]
            clause = _Clause([*owner, *(n + 1 for n in want)], ("want", number, at))
            conflict = self._attach(clause) or conflict
        return conflict

    def _attach(self, clause: _Clause) -> _Clause | None:
        literals = clause.literals
        literals.sort(key=lambda literal: -self.level[abs(literal)] if -literal in self.true else -1 << 30)
        for literal in literals[:2]:
            self.watches[literal].append(clause)
        if not literals or -literals[0] in self.true:
            return clause
        if (len(literals) == 1 or -literals[1] in self.true) and literals[0] not in self.true:
            self._assign(literals[0], clause)
        return None

    def _visit(self, false: int) -> _Clause | None:
        """Looks at the clauses that watch a literal which has become false."""
        watching, kept = self.watches.pop(false, []), self.watches[false]
        for at, clause in enumerate(watching):
            if len(clause.literals) > 1 and self._move_watch(clause, false):
                continue
            kept.append(clause)
            first = clause.literals[0]
            if -first in self.true:
                kept.extend(watching[at + 1 :])
                return clause
            if first not in self.true:
                self._assign(first, clause)
        return None

    def _move_watch(self, clause: _Clause, false: int) -> bool:
        literals = clause.literals
        if literals[0] == false:
            literals[0], literals[1] = literals[1], false
        if literals[0] in self.true:
            return False
        for at in range(2, len(literals)):
            if -literals[at] not in self.true:
                literals[1], literals[at] = literals[at], false
                self.watches[literals[1]].append(clause)
                return True
        return False

    def _resolve(self, conflict: _Clause) -> None:
        """Learns from a conflict, goes back to where that makes a difference, and concludes it there."""
        if not self.limits:
            raise Hopeless(self._core(conflict))
        clause = self._learn(conflict)
        level = max((self.level[abs(literal)] for literal in clause.literals[1:]), default=0)
        self._undo(self.scout.met_conflict(level))
        self._attach(clause)

    def _learn(self, conflict: _Clause) -> _Clause:
        """The first unique implication point: one literal of the present level, the others from before."""
        seen: set[int] = set()
        earlier: list[int] = []
        parents = [conflict]
        present, at = 0, len(self.trail)
        while True:
            for literal in parents[-1].literals:
                level = self.level[abs(literal)]
                if level and abs(literal) not in seen:
                    seen.add(abs(literal))
                    self.scout.blame(abs(literal))
                    if level == len(self.limits):
                        present += 1
                    else:
                        earlier.append(literal)
            at = next(i for i in range(at - 1, -1, -1) if abs(self.trail[i]) in seen)
            present -= 1
            reason = self.reason[abs(self.trail[at])]
            if not present or reason is None:
                break
            parents.append(reason)
        earlier.sort(key=lambda literal: -self.level[abs(literal)])
        return _Clause([-self.trail[at], *earlier], parents=tuple(parents))

    def _undo(self, level: int) -> None:
        if level == len(self.limits):
            return
        limit = self.limits[level]
        self.true.difference_update(self.trail[limit:])
        del self.trail[limit:], self.limits[level:]
        self.head = limit
        self.walk = _Walk(self.world)

    def _core(self, conflict: _Clause) -> frozenset[Origin]:
        seen: set[_Clause] = set()
        left = [conflict]
        while left:
            clause = left.pop()
            if clause in seen:
                continue
            seen.add(clause)
            certain = (abs(x) for x in clause.literals if self.level.get(abs(x)) == 0)
            left.extend(reason for x in certain if (reason := self.reason[x]) is not None)
            left.extend(clause.parents)
        return frozenset(clause.origin for clause in seen if clause.origin is not None)


class _Walk:
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


class _Scout:
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
