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

from farm.spec.walk import Scout, Walk
from farm.spec.world import GOALS, Origin, World


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
        self.walk = Walk(world)
        self.scout = Scout(world)

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
        self.walk = Walk(self.world)

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
