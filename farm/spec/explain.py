# SPDX-License-Identifier: GPL-3.0-or-later
"""Why nothing fits, for people: who asked for what, and why each candidate was refused."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic

from farm.spec.index import P
from farm.spec.model import Requirement
from farm.spec.problem import FarmError, Problem
from farm.spec.question import Question
from farm.spec.search import Hopeless, search
from farm.spec.world import GOALS, Origin, Want, World

SHRINKABLE = 64
"""A core of more wants than this is told as it is: to find a smaller one would take too long."""

LINES = 100
"""Lines of an explanation; more would not be read. It also bounds how deep a story goes."""


def explain(question: Question[P], hopeless: Hopeless) -> FarmError:
    """The error to raise: ``missing-requirement`` if only absent packages are to blame, else ``unsatisfiable``."""
    core = smallest_core(question, hopeless.core)
    story = _Story(question, core)
    lines = list(itertools.islice(story.wants(GOALS, 1), LINES + 1))
    lines[LINES:] = ["  …"] * bool(lines[LINES:])
    missing = not any(kind == "rivals" for kind, _, _ in core)
    what = f"needs {story.absent()}" if missing else "cannot have all that is asked for"
    message = "\n".join([f"{question.asker} {what}:", *lines])
    return FarmError(Problem("missing-requirement" if missing else "unsatisfiable", message, hint=story.hint()))


def smallest_core(world: World, core: frozenset[Origin]) -> frozenset[Origin]:
    """The wants of ``core`` of which none can be dropped, with the rivalries that then stand in the way."""
    wants = sorted((one for one in core if one[0] == "want"), key=lambda one: one[1:], reverse=True)
    if len(wants) > SHRINKABLE or len(wants) == len(core):
        return core
    for want in wants:
        if want in core:
            try:
                search(_Part(world, core - {want}))
            except Hopeless as hopeless:
                core = hopeless.core
    return core


class _Part:
    """A world in which packages want only what is in ``core``."""

    def __init__(self, world: World, core: frozenset[Origin]) -> None:
        self._core = core
        self._world = world
        self.rivals = world.rivals
        self.atom = world.atom

    def wants(self, number: int) -> list[Want | None]:
        wants = enumerate(self._world.wants(number))
        return [want if ("want", number, at) in self._core else None for at, want in wants]


class _Story(Generic[P]):
    """Walks through a core from the goals on, and tells of each package once."""

    def __init__(self, question: Question[P], core: frozenset[Origin]) -> None:
        self._question = question
        self._index = question.index
        self._wanted: dict[int, list[int]] = defaultdict(list)
        self._foes: dict[int, set[int]] = defaultdict(set)
        self._told: set[int] = set()
        for kind, a, b in sorted(core):
            if kind == "want":
                self._wanted[a].append(b)
            else:
                self._foes[a].add(b)
                self._foes[b].add(a)

    def wants(self, number: int, depth: int) -> Iterator[str]:
        """What a package wants in vain, and below each want what became of its candidates."""
        self._told.add(number)
        for at in self._wanted[number]:
            requirement = self._question.requirement(number, at)
            yield f"{'  ' * depth}{self._question.name(number)} requires {requirement}"
            yield from self._candidates(requirement, self._question.wants(number)[at], depth + 1)

    def absent(self) -> str:
        """The requirements that nothing satisfies."""
        return _listed([f"{requirement}, which is not there" for requirement in self._dead_ends()], 3)

    def hint(self) -> str:
        """What may have been meant."""
        ends = [end for end in self._dead_ends() if not self._index.named(end.category, end.name)]
        ends = [end for end in ends if not self._question.elsewhere(end)]
        similar = self._index.similar(ends[0].category, ends[0].name) if ends else ()
        return f"Did you mean {' or '.join(similar)}?" if similar else ""

    def _dead_ends(self) -> list[Requirement]:
        wanted = ((number, at) for number, places in self._wanted.items() for at in places)
        ends = (one for one in wanted if not self._question.wants(one[0])[one[1]])
        return list(dict.fromkeys(self._question.requirement(*end) for end in ends))

    def _candidates(self, requirement: Requirement, fitting: Want, depth: int) -> Iterator[str]:
        known = self._index.named(requirement.category, requirement.name)
        others = [self._question.name(n) for n in known if n not in fitting]
        if not known:
            why = self._question.elsewhere(requirement) or f"there is no package {requirement.atom}"
            yield f"{'  ' * depth}{why}"
        elif others:
            yield f"{'  ' * depth}not admitted: {_listed(others)}"
        for number in fitting:
            yield from self._candidate(number, depth)

    def _candidate(self, number: int, depth: int) -> Iterator[str]:
        reasons = list(self._reasons(number))
        if reasons:
            yield f"{'  ' * depth}{self._question.name(number)}: {'; '.join(reasons)}"
        if number not in self._told:
            yield from self.wants(number, depth + bool(reasons))

    def _reasons(self, number: int) -> Iterator[str]:
        category, name = self._index.atom(number)
        versions = {n for n in self._foes[number] if self._index.atom(n) == (category, name)}
        if versions:
            yield f"only one version of {category}/{name} can be chosen (or {self._names(versions)})"
        if foes := self._foes[number] - versions:
            yield f"conflicts with {self._names(foes)}"
        if number in self._told and self._wanted[number]:
            yield "see above"

    def _names(self, numbers: Iterable[int]) -> str:
        return _listed([self._question.name(n) for n in sorted(numbers)])


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
