# SPDX-License-Identifier: GPL-3.0-or-later
"""Resolution of requirements: which packages to take, in which order, or why it cannot be.

The rules, which docs/versions.md explains: the best candidate that fits, requirement by requirement from the
roots on; one version of a package at a time; no conflicts; no cycles.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Generic

from farm.spec.closure import Closures
from farm.spec.explain import explain
from farm.spec.index import Index, P, Relation, Resolvable
from farm.spec.model import PackageId, Requirement
from farm.spec.problem import FarmError, error
from farm.spec.question import Question, Root
from farm.spec.search import Hopeless, search
from farm.spec.world import GOALS, Want

__all__ = ["Index", "Resolution", "Resolvable", "Root", "solve"]


@dataclasses.dataclass(frozen=True, slots=True)
class Resolution(Generic[P]):
    """What was chosen.

    ``packages``: dependencies first; those with equally long chains below them by name, category, version. Two
    packages stand in the same order in every resolution made of the same choices. ``edges``: for each package
    what satisfies each of its requirements, in their order; ``roots`` the same for what was asked for.
    """

    packages: tuple[P, ...]
    edges: Mapping[PackageId, tuple[PackageId, ...]]
    roots: tuple[PackageId, ...]


def _requires(package: Resolvable) -> Sequence[Requirement]:
    return package.requires


def solve(
    index: Index[P], roots: Sequence[Root], requires: Relation[P] = _requires, *, asker: str = "target"
) -> Resolution[P]:
    """The best packages that satisfy ``roots`` (requirements, or packages of the index themselves).

    ``requires`` says what a package needs; pass the same function each time, as what was found out is kept by
    it. ``asker`` stands in explanations for who wants the roots. Raises FarmError ``missing-requirement`` (what is
    required is not in the index), ``unsatisfiable`` (it is, but not together) or ``cycle``.
    """
    closures = _closures(index, requires)
    question = Question(closures, roots, asker)
    closure = closures.of(question.goals)
    if closure is None:
        return _searched(question)
    edges = {n: closures.firsts(n) for n in closures.by_level(closure.members)}
    return _resolution(index, edges, [want[0] for want in question.goals])


def _closures(index: Index[P], requires: Relation[P]) -> Closures[P]:
    if requires not in index.compiled:
        if len(index.compiled) >= 8:
            index.compiled.clear()
        index.compiled[requires] = Closures(index, requires)
    return index.compiled[requires]


def _searched(question: Question[P]) -> Resolution[P]:
    try:
        chosen = search(question)
    except Hopeless as hopeless:
        raise explain(question, hopeless) from None
    edges = {n: _satisfied(question.wants(n), chosen) for n in chosen}
    roots = _satisfied(question.wants(GOALS), chosen)
    levels = _levels(question, edges, sorted(chosen))
    ordered = sorted(chosen, key=lambda n: (levels[n], n))
    return _resolution(question.index, {n: edges[n] for n in ordered}, roots)


def _satisfied(wants: Sequence[Want], chosen: set[int]) -> tuple[int, ...]:
    """What of the chosen satisfies each want: the best of them."""
    return tuple(next(n for n in want if n in chosen) for want in wants)


def _levels(question: Question[P], edges: Mapping[int, tuple[int, ...]], start: Sequence[int]) -> dict[int, int]:
    """The longest chain below each package, in steps. Raises FarmError ``cycle``."""
    levels: dict[int, int] = {}
    path: dict[int, None] = {}
    stack = list(reversed(start))
    while stack:
        number = stack[-1]
        unknown = [n for n in edges[number] if n not in levels] if number not in levels else []
        if unknown and number not in path:
            path[number] = None
            if (back := next((n for n in unknown if n in path), None)) is not None:
                raise _cycle(question, list(path), back)
            stack.extend(reversed(unknown))
            continue
        stack.pop()
        path.pop(number, None)
        levels[number] = 1 + max((levels[n] for n in edges[number]), default=0)
    return levels


def _cycle(question: Question[P], path: Sequence[int], back: int) -> FarmError:
    around = [*path[path.index(back) :], back]
    told = " -> ".join(question.name(n) for n in around)
    hint = "Drop one of these requirements, or build the first of them from an image."
    return error("cycle", f"these packages need themselves to be made: {told}", hint=hint)


def _resolution(index: Index[P], edges: Mapping[int, Sequence[int]], roots: Sequence[int]) -> Resolution[P]:
    """Numbers made packages. ``edges`` are in the order of the result."""
    ids = index.ids
    return Resolution(
        tuple(index.packages[n] for n in edges),
        {ids[n]: tuple([ids[m] for m in below]) for n, below in edges.items()},
        tuple(ids[n] for n in roots),
    )
