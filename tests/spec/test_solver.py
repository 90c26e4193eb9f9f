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
from farm.spec.search import Hopeless, search
from farm.spec.solver import Index, Resolution, solve
from farm.spec.world import GOALS


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
    ones: list[tuple[int, ...]] = []
    several: list[tuple[int, ...]] = []

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
def test_order_of_input_does_not_matter(world: tuple[list[Stone], list[Requirement]], chance: random.Random) -> None:
    stones, roots = world
    shuffled = chance.sample(stones, len(stones))
    assert outcome(Index(stones), roots) == outcome(Index(shuffled), roots)


def outcome(index: Index[Stone], roots: list[Requirement]) -> object:
    try:
        resolution = solve(index, roots, requires)
    except FarmError as problem:
        return str(problem)
    return [p.id for p in resolution.packages], list(resolution.edges.items()), resolution.roots


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_scouting_changes_no_answer(world: tuple[list[Stone], list[Requirement]]) -> None:
    stones, roots = world
    question = Question(Closures(Index(stones), requires), roots, "test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("farm.spec.walk.Scout.PATIENCE", 1)
        try:
            found: set[int] | None = search(question)
        except Hopeless:
            found = None
    assert found == best_solution(question)


# --- by the rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selector", "version"),
    [(">=0", "1.0-r10"), ("<1.0-r10", "1.0-r9"), ("1.0", "1.0"), ("~1.0", "1.0-r10"), ("", "1.0-r10")],
)
def test_takes_the_highest_that_fits(selector: str, version: str) -> None:
    stones = [stone(f"a-{v}") for v in ("0.9", "1.0_rc1", "1.0")] + [
        Stone(PackageId("c", "a", v)) for v in ("1.0-r9", "1.0-r10")
    ]
    (chosen,) = solve(Index(stones), [Requirement("c", "a", selector)]).packages
    assert chosen.id.version == version


def test_steps_back_from_the_highest() -> None:
    stones = [stone("a-2", "x@>=2"), stone("a-1", "x"), stone("x-2"), stone("x-1"), stone("b-1", "x@<2")]
    assert resolve(stones, "a", "b") == ["x-1", "a-1", "b-1"]


def test_a_real_package_goes_before_providers() -> None:
    stones = [stone("v-1"), stone("a-9", provides=["v@9"]), stone("b-9", provides=["v@9"])]
    assert resolve(stones, "v") == ["v-1"]
    assert resolve(stones, "v@>=2") == ["a-9"]


def test_providers_by_version_provided_then_name() -> None:
    stones = [stone("a-1", provides=["v@1"]), stone("b-1", provides=["v@2"]), stone("d-1", provides=["v@2"])]
    assert resolve(stones, "v") == ["b-1"]
    assert resolve(stones, "v@<2") == ["a-1"]


def test_a_provider_that_is_there_will_do() -> None:
    stones = [stone("a-1", provides=["v@1"]), stone("b-1", provides=["v@1"]), stone("x-1", "v", "b")]
    assert resolve(stones, "x") == ["b-1", "x-1"]


def test_conflicts_choose_the_other_provider() -> None:
    stones = [
        stone("a-1", provides=["v@1"], conflicts=["b"]),
        stone("b-1", provides=["v@1"]),
        stone("x-1", "v"),
        stone("y-1", "b"),
    ]
    assert resolve(stones, "x", "y") == ["b-1", "x-1", "y-1"]


def test_may_provide_and_conflict_with_the_same_name() -> None:
    stones = [stone(f"{n}-1", provides=["v@1"], conflicts=["v"]) for n in "ab"]
    assert resolve(stones, "v") == ["a-1"]
    assert failure(stones, "a", "b") == "unsatisfiable"


def failure(stones: Iterable[Stone], *roots: str) -> str:
    with pytest.raises(FarmError) as caught:
        resolve(stones, *roots)
    return caught.value.code


@pytest.mark.parametrize(
    ("stones", "code"),
    [
        ([stone("a-1", "b")], "missing-requirement"),
        ([stone("a-1", "b@>=2"), stone("b-1")], "missing-requirement"),
        ([stone("a-1", "b@>>2"), stone("b-1")], "missing-requirement"),
        ([stone("a-1", "b@<2", "d"), stone("b-1"), stone("b-2"), stone("d-1", "b@2")], "unsatisfiable"),
        ([stone("a-1", "b"), stone("b-1", conflicts=["a"])], "unsatisfiable"),
        ([stone("a-1", "a")], "cycle"),
        ([stone("a-1", "b"), stone("b-1", "d"), stone("d-1", "b")], "cycle"),
        ([], "missing-requirement"),
    ],
)
def test_failures(stones: list[Stone], code: str) -> None:
    assert failure(stones, "a") == code


def test_explanation_names_everyone_concerned() -> None:
    stones = [stone("a-1", "b"), stone("b-1", "x@>=2"), stone("d-1", "x@<2"), stone("x-1"), stone("x-2"), stone("z-1")]
    with pytest.raises(FarmError) as caught:
        solve(Index(stones), [need("a"), need("d"), need("z")], asker="c/top-7")
    message = caught.value.problems[0].message
    assert all(f"c/{name}" in message for name in ("top-7", "a-1", "b-1", "d-1", "x-1", "x-2", "x@>=2", "x@<2"))
    assert "c/z" not in message


def test_cycle_is_told_as_a_path() -> None:
    with pytest.raises(FarmError) as caught:
        resolve([stone("a-1", "b"), stone("b-1", "d"), stone("d-1", "b")], "a")
    assert "c/b-1 -> c/d-1 -> c/b-1" in caught.value.problems[0].message


def test_dependencies_first_then_by_name() -> None:
    stones = [stone("z-1"), stone("a-1", "z"), stone("m-1", "z"), stone("b-1", "a", "m"), stone("x/m-1")]
    resolution = solve(Index(stones), [need("b"), need("x/m")])
    assert [str(p.id) for p in resolution.packages] == ["x/m-1", "c/z-1", "c/a-1", "c/m-1", "c/b-1"]
    assert [str(p) for p in resolution.roots] == ["c/b-1", "x/m-1"]
    assert [str(p) for p in resolution.edges[PackageId("c", "b", "1")]] == ["c/a-1", "c/m-1"]
    assert resolution.edges[PackageId("c", "z", "1")] == ()


def test_roots_may_be_packages_and_requires_any_function() -> None:
    stones = [stone("a-1", "b"), stone("a-2", "b"), stone("b-1")]
    index = Index(stones)
    root = PackageId("c", "a", "1")
    assert names(solve(index, [root])) == ["b-1", "a-1"]
    assert names(solve(index, [root], lambda package: ())) == ["a-1"]


def test_unreadable_version_costs_only_its_package() -> None:
    index = Index([Stone(PackageId("c", "a", "1..0")), stone("a-1")])
    assert [problem.code for problem in index.problems] == ["bad-version"]
    assert [p.id.version for p in index.providers("c", "a")] == ["1"]


# --- its cost --------------------------------------------------------------------------------------------


def many_levels(count: int = 3200, depth: int = 29) -> list[Stone]:
    """Packages in levels, each on some of the level below, of which the first few are hubs."""
    chance = random.Random(7)
    levels = [[f"p{at}x{n}" for n in range(count // depth)] for at in range(depth)]
    stones = [stone(f"{name}-{chance.randint(1, 9)}.{n}+{n}") for n, name in enumerate(levels[0])]
    for below, level in itertools.pairwise(levels):
        for n, name in enumerate(level):
            hub = below[min(int(chance.expovariate(0.7)), len(below) - 1)]
            stones.append(stone(f"{name}-{chance.randint(1, 9)}.{n}", f"{hub}@>=0", f"{chance.choice(below)}@>=0"))
    return stones


def test_all_targets_of_a_large_tree_cost_little() -> None:
    stones = many_levels()
    start = time.process_time()
    index = Index(stones)
    sizes = [len(solve(index, package.requires).packages) for package in index.packages]
    assert time.process_time() - start < 3, "about 0.7 s on a quiet machine"
    assert max(sizes) > 200


def test_a_long_chain_needs_no_recursion() -> None:
    chain = [stone(f"p{n}-1", f"p{n + 1}") for n in range(5000)]
    assert failure(chain, "p0") == "missing-requirement"
    assert len(resolve([*chain, stone("p5000-1")], "p0")) == 5001
    assert failure([*chain, stone("p5000-1", "p0")], "p0") == "cycle"


def test_a_tower_of_diamonds_is_solved() -> None:
    stones = []
    for n in range(60):
        for v in range(1, 6):
            stones.append(stone(f"l{n}-{v}", f"j{n}@={v}", f"l{n + 1}@>=0"))
            stones.append(stone(f"r{n}-{v}", f"j{n}@={6 - v}", f"r{n + 1}@>=0"))
            stones.append(stone(f"j{n}-{v}"))
    stones += [stone("l60-1"), stone("r60-1")]
    assert len(resolve(stones, "l0", "r0")) == 182


def test_two_hundred_packages_in_five_versions() -> None:
    chance = random.Random(3)
    stones = []
    for n in range(200):
        for v in range(1, 6):
            below = [chance.randint(n + 1, 200) for _ in range(chance.randint(0, 4) if n < 199 else 0)]
            low = [chance.randint(1, 3) for _ in below]
            stones.append(stone(f"p{n}-{v}", *(f"p{m}@>={x},<={x + 2}" for m, x in zip(below, low, strict=True))))
    stones += [stone(f"p200-{v}") for v in range(1, 6)]
    assert len(resolve(stones, *(f"p{n}" for n in range(20)))) > 50
