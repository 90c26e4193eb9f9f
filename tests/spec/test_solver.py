# SPDX-License-Identifier: GPL-3.0-or-later
"""The solver: against brute force on small worlds, and by its rules on chosen ones."""

from __future__ import annotations

import dataclasses
import itertools
import random
import time
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.spec.closure import Closures
from farm.spec.model import PackageId, Requirement
from farm.spec.problem import FarmError
from farm.spec.question import Question
from farm.spec.search import GOALS, Hopeless, search
from farm.spec.selector import parse_target
from farm.spec.solver import Index, Resolution, solve


@dataclasses.dataclass(frozen=True)
class Stone:
    """The least that can be resolved."""

    id: PackageId
    requires: tuple[Requirement, ...] = ()
    provides: tuple[Requirement, ...] = ()
    conflicts: tuple[Requirement, ...] = ()


def need(text: str) -> Requirement:
    """``name``, ``name@selector`` or ``category/name@selector``; the category is ``c`` when not given."""
    path, _, version = text.partition("@")
    category, _, name = path.rpartition("/")
    return Requirement(category or "c", name, version)


def stone(name: str, *requires: str, provides: Iterable[str] = (), conflicts: Iterable[str] = ()) -> Stone:
    """``stone("app-1.0", "lib@>=1")``."""
    own, _, version = name.rpartition("-")
    category, _, own = own.rpartition("/")
    lists = ([need(x) for x in texts] for texts in (requires, provides, conflicts))
    return Stone(PackageId(category or "c", own, version), *(tuple(x) for x in lists))


def names(resolution: Resolution[Stone]) -> list[str]:
    return [f"{p.id.name}-{p.id.version}" for p in resolution.packages]


def resolve(stones: Iterable[Stone], *roots: str) -> list[str]:
    return names(solve(Index(stones), [need(root) for root in roots]))


def requires(package: Stone) -> Sequence[Requirement]:
    return package.requires


# --- against brute force ---------------------------------------------------------------------------------


def every_solution(question: Question[Stone]) -> list[frozenset[int]]:
    """All sets of packages that satisfy the goals and each other, whether small or not."""
    by_name: dict[object, list[int]] = {}
    for n in range(len(question.index.packages)):
        by_name.setdefault(question.atom(n), []).append(n)
    choices = itertools.product(*([None, *versions] for versions in by_name.values()))
    found = (frozenset(n for n in choice if n is not None) for choice in choices)
    return [chosen for chosen in found if holds(question, chosen)]


def holds(question: Question[Stone], chosen: frozenset[int]) -> bool:
    wanted = all(chosen.intersection(want) for n in (GOALS, *chosen) for want in question.wants(n))
    return wanted and not any(chosen & question.rivals(n) for n in chosen)


def best_solution(question: Question[Stone]) -> set[int] | None:
    """What the solver promises, done the long way: at each want the best with which a solution is left."""
    alive = every_solution(question)
    if not alive:
        return None
    reached: set[int] = set()
    ones, several = [], []

    def meet(number: int) -> None:
        for want in question.wants(number):
            (ones if len({question.atom(n) for n in want}) < 2 else several).append(want)

    meet(GOALS)
    while ones or several:
        want = ones.pop(0) if ones else several.pop(0)
        if len({question.atom(n) for n in want}) > 1 and reached.intersection(want):
            continue
        best = next(n for n in want if any(n in chosen for chosen in alive))
        alive = [chosen for chosen in alive if best in chosen]
        if best not in reached:
            reached.add(best)
            meet(best)
    return reached


NAMES = ["a", "b", "d", "e", "f"]
SELECTORS = [">=0", ">=2", "<2", "<3", "=1", "!=2", "~3", "9"]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Stone], list[Requirement]]:
    """Up to five names in up to three versions, and two virtual names that some of them provide."""
    wants = st.builds(
        Requirement, st.just("c"), st.sampled_from([*NAMES, "v", "w"]), st.sampled_from(SELECTORS[:-1] + [">=0"] * 4)
    )
    offers = st.builds(Requirement, st.just("c"), st.sampled_from(["v", "w"]), st.sampled_from(["1", "2", ">=0", ""]))
    stones = [
        Stone(
            PackageId("c", name, str(version)),
            tuple(draw(st.lists(wants, max_size=2))),
            tuple(draw(st.lists(offers, max_size=1))),
            tuple(draw(st.lists(wants, max_size=1))) if draw(st.integers(0, 3)) == 0 else (),
        )
        for name in NAMES[: draw(st.integers(1, 5))]
        for version in range(1, draw(st.integers(1, 3)) + 1)
    ]
    return stones, draw(st.lists(wants, min_size=1, max_size=3))


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_agrees_with_brute_force(world: tuple[list[Stone], list[Requirement]]) -> None:
    stones, roots = world
    index = Index(stones)
    question = Question(Closures(index, requires), roots, "test")
    expected = best_solution(question)
    try:
        found: set[int] | None = search(question)
    except Hopeless as hopeless:
        found = None
        assert hopeless.core
    assert found == expected
    check_solve(index, roots, expected)


def check_solve(index: Index[Stone], roots: list[Requirement], expected: set[int] | None) -> None:
    """`solve`, with its shortcut over closures, says the same as the search."""
    try:
        resolution = solve(index, roots, requires)
    except FarmError as problem:
        assert problem.code == "cycle" or expected is None
        assert problem.code in {"cycle", "missing-requirement", "unsatisfiable"}
        return
    assert {index.number[p.id] for p in resolution.packages} == expected
    place = {p.id: at for at, p in enumerate(resolution.packages)}
    assert all(place[below] < place[p] for p, belows in resolution.edges.items() for below in belows)
    assert len(resolution.roots) == len(roots)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_order_of_input_does_not_matter(
    world: tuple[list[Stone], list[Requirement]], chance: random.Random
) -> None:
    stones, roots = world
    shuffled = chance.sample(stones, len(stones))
    assert outcome(Index(stones), roots) == outcome(Index(shuffled), roots)


def outcome(index: Index[Stone], roots: list[Requirement]) -> object:
    try:
        resolution = solve(index, roots, requires)
    except FarmError as problem:
        return str(problem)
    return [p.id for p in resolution.packages], list(resolution.edges.items()), resolution.roots
