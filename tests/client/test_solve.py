# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client's solver answers, on small worlds."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import pytest
from client_wagons import catalog, database_of

from farm.client.catalog import Catalog
from farm.client.change import Candidate, Change
from farm.client.database import Database, Installed
from farm.client.solve import Rules, plan_install, plan_reinstall, plan_remove, plan_swap, plan_upgrade
from farm.spec.index import Index
from farm.spec.model import PackageId
from farm.spec.problem import FarmError

ALL = Rules()


def ids(packages: Iterable[PackageId]) -> list[str]:
    return [str(package) for package in packages]


def told(change: Change) -> dict[str, list[str]]:
    """The parts of a change that are not empty."""
    parts = {
        "install": [str(one.id) for one in change.install],
        "remove": [str(one.id) for one in change.remove],
        "replace": [f"{old.id} -> {new.id}" for old, new in change.replace],
        "present": [str(one.id) for one in change.present],
    }
    return {name: part for name, part in parts.items() if part}


def install(path: Path, there: Iterable[str], offered: Catalog, *wanted: str, rules: Rules = ALL) -> Change:
    with database_of(path, *there) as database:
        return plan_install(offered, database, wanted, rules)


def test_dependencies_come_first(tmp_path: Path) -> None:
    offered = catalog("a/x-1 needs a/y@>=1 a/z", "a/y-1 needs a/z@>=2", "a/y-3 needs a/z", "a/z-1", "a/z-2")
    change = install(tmp_path, [], offered, "a/x")
    assert ids(change.order) == ["a/z-2", "a/y-3", "a/x-1"]
    assert ids(change.requested) == ["a/x-1"]
    assert change.reasons[PackageId("a", "z", "2")].startswith("required by")


def test_cycles_are_fine_at_run_time(tmp_path: Path) -> None:
    change = install(tmp_path, [], catalog("a/x-1 needs a/y", "a/y-1 needs a/x"), "a/y")
    assert sorted(ids(change.order)) == ["a/x-1", "a/y-1"]


def test_what_is_installed_stays(tmp_path: Path) -> None:
    offered = catalog("a/x-1 needs a/y@>=1", "a/y-2", "a/y-1")
    change = install(tmp_path, ["a/y-1"], offered, "a/x")
    assert told(change) == {"install": ["a/x-1"]}


def test_but_not_when_it_does_not_do(tmp_path: Path) -> None:
    offered = catalog("a/x-1 needs a/y@>=2", "a/y-2", "a/y-3")
    assert told(install(tmp_path, ["a/y-1"], offered, "a/x")) == {
        "install": ["a/x-1"],
        "replace": ["a/y-1 -> a/y-3"],
    }


def test_an_upgrade_takes_dependents_along(tmp_path: Path) -> None:
    offered = catalog("a/x-1 needs a/y@>=2", "a/y-2", "a/user-2 needs a/y@>=2")
    change = install(tmp_path, ["a/y-1", "a/user-1 needs a/y@<2"], offered, "a/x")
    assert told(change)["replace"] == ["a/y-1 -> a/y-2", "a/user-1 -> a/user-2"]


def test_it_never_goes(tmp_path: Path) -> None:
    offered = catalog("a/x-1 needs a/y@>=2", "a/y-2")
    with pytest.raises(FarmError) as caught:
        install(tmp_path, ["a/y-1", "a/user-1 needs a/y@<2"], offered, "a/x")
    assert caught.value.code == "unsatisfiable"
    assert "a/user-1" in str(caught.value) and "a/x" in str(caught.value)


def test_a_downgrade_only_when_it_is_asked_for(tmp_path: Path) -> None:
    offered = catalog("a/x-1", "a/x-3")
    assert told(install(tmp_path, ["a/x-2"], offered, "a/x")) == {"present": ["a/x-2"]}
    with database_of(tmp_path) as database:
        assert told(plan_install(offered, database, ["a/x@1"])) == {"replace": ["a/x-2 -> a/x-1"]}
        assert told(plan_upgrade(catalog("a/x-1"), database)) == {}


@pytest.mark.parametrize(
    ("word", "chosen"),
    [
        ("a/x@<2", "a/x-1"),
        ("=a/x-1", "a/x-1"),
        (">=a/x-2", "a/x-3"),
        ("x", "a/x-3"),
        ("a/x-2", "a/x-2"),
        ("a/x::side", "a/x-2"),
    ],
)
def test_words(tmp_path: Path, word: str, chosen: str) -> None:
    offered = catalog("a/x-1", "a/x-2", "a/x-3", others={"side": (60, ["a/x-2"])})
    change = install(tmp_path, [], offered, word)
    assert ids(change.order) == [chosen]
    assert not word.endswith("::side") or change.install[0].repository.name == "side"


@pytest.mark.parametrize(
    ("word", "code"),
    [("a/none", "unknown-target"), ("twin", "ambiguous-target"), ("a/x@>9", "missing-requirement"),
     ("a/masked", "masked-target"), ("a/x@", "bad-target"), ("a/needy", "missing-requirement")],
)  # fmt: skip
def test_words_that_mean_nothing(tmp_path: Path, word: str, code: str) -> None:
    offered = catalog("a/x-1", "a/twin-1", "b/twin-1", "a/masked-1", "a/needy-1 needs a/none", masks=["a/masked"])
    with pytest.raises(FarmError) as caught:
        install(tmp_path, [], offered, word)
    assert caught.value.code == code


def test_all_wrong_words_are_told_at_once_with_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(FarmError) as caught:
        install(tmp_path, [], catalog("app/firefox-1", "lib/glibc-2"), "app/firefux", "lib/glibk")
    assert ["firefox" in p.hint or "glibc" in p.hint for p in caught.value.problems] == [True, True]


def test_of_one_version_the_repository_with_the_lower_priority_number(tmp_path: Path) -> None:
    others = {"first": (10, ["a/x-1"]), "last": (90, ["a/x-1", "a/y-2"])}
    offered = catalog("a/x-1", "a/y-1", others=others)
    change = install(tmp_path, [], offered, "a/x", "a/y")
    assert {str(one.id): one.repository.name for one in change.install} == {"a/x-1": "first", "a/y-2": "last"}


def test_what_is_provided(tmp_path: Path) -> None:
    offered = catalog("a/x-1 needs v/e", "a/b-1 gives v/e@1", "a/a-1 gives v/e@1")
    assert ids(install(tmp_path, [], offered, "a/x").order) == ["a/a-1", "a/x-1"]
    with database_of(tmp_path, "a/b-1 gives v/e@1") as database:
        assert told(plan_install(offered, database, ["a/x"])) == {"install": ["a/x-1"]}
        assert told(plan_install(offered, database, ["v/e"])) == {"present": ["a/b-1"]}


def test_a_name_means_the_package_rather_than_what_provides_it(tmp_path: Path) -> None:
    offered = catalog("a/x-1", "a/y-1 gives a/x@1")
    assert told(install(tmp_path, ["a/y-1 gives a/x@1"], offered, "a/x")) == {"install": ["a/x-1"]}


def test_conflicts(tmp_path: Path) -> None:
    offered = catalog("a/x-1 conflicts a/y", "a/y-1", "a/z-1 conflicts a/y@<2")
    with database_of(tmp_path, "a/y-1") as database:
        with pytest.raises(FarmError) as caught:
            plan_install(offered, database, ["a/x"])
        assert caught.value.code == "unsatisfiable" and "conflicts" in str(caught.value)
        assert told(plan_install(offered, database, ["a/x"], Rules(ignore_conflicts=True)))["install"] == ["a/x-1"]
        assert told(plan_install(catalog("a/z-1 conflicts a/y@<2", "a/y-2"), database, ["a/z"])) == {
            "install": ["a/z-1"],
            "replace": ["a/y-1 -> a/y-2"],
        }


def test_without_dependencies(tmp_path: Path) -> None:
    offered = catalog("a/x-1 needs a/none")
    assert told(install(tmp_path, [], offered, "a/x", rules=Rules(nodeps=True))) == {"install": ["a/x-1"]}


def test_a_root_that_is_broken_already_does_not_stand_in_the_way(tmp_path: Path) -> None:
    there = ["a/broken-1 needs a/none", "a/foe-1 conflicts a/friend", "a/friend-1"]
    with database_of(tmp_path, *there) as database:
        assert told(plan_install(catalog("a/x-1"), database, ["a/x"])) == {"install": ["a/x-1"]}
        assert told(plan_upgrade(catalog("a/friend-2"), database)) == {}
        assert told(plan_upgrade(catalog("a/broken-2"), database)) == {"replace": ["a/broken-1 -> a/broken-2"]}


def test_masks(tmp_path: Path) -> None:
    masks = [">=a/x-2", "a/y::side"]
    offered = catalog("a/x-1", "a/x-2", "a/y-1", masks=masks, others={"side": (1, ["a/y-1", "a/y-2"])})
    change = install(tmp_path, [], offered, "a/x", "a/y")
    assert sorted(ids(change.order)) == ["a/x-1", "a/y-1"]
    assert {one.repository.name for one in change.install} == {"main"}


def test_upgrade(tmp_path: Path) -> None:
    there = ["a/x-1 needs a/y", "a/y-1", "a/same-1", "a/orphan-1", "a/held-1"]
    offered = catalog("a/x-2 needs a/y@>=2 a/new", "a/y-2", "a/new-1", "a/same-1", "a/held-2 needs a/none", "a/other-1")
    with database_of(tmp_path, *there) as database:
        change = plan_upgrade(offered, database)
    assert told(change) == {"install": ["a/new-1"], "replace": ["a/y-1 -> a/y-2", "a/x-1 -> a/x-2"]}
    assert ids(change.order) == ["a/new-1", "a/y-2", "a/x-2"]


@pytest.mark.parametrize(
    ("now", "again"),
    [
        ("a/x-1 needs a/y", True),
        ("a/x-1 gives v/x@1", True),
        ("a/x-1 conflicts a/none", True),
        ("a/x-1", False),
    ],
)
def test_changed_relations_make_an_upgrade(tmp_path: Path, now: str, again: bool) -> None:
    with database_of(tmp_path, "a/x-1") as database:
        change = plan_upgrade(catalog(now, "a/y-1"), database)
    assert [new.id.version for _, new in change.replace] == (["1"] if again else [])


def test_remove_takes_what_needs_it_along(tmp_path: Path) -> None:
    there = ["a/lib-1", "a/app-1 needs a/lib", "a/top-1 needs a/app", "a/other-1"]
    with database_of(tmp_path, *there) as database:
        assert told(plan_remove(database, ["a/lib"])) == {"remove": ["a/top-1", "a/app-1", "a/lib-1"]}
        assert told(plan_remove(database, ["a/lib"], nodeps=True)) == {"remove": ["a/lib-1"]}
        assert told(plan_remove(database, ["top", "a/app"])) == {"remove": ["a/top-1", "a/app-1"]}
        with pytest.raises(FarmError) as caught:
            plan_remove(database, ["a/libb", "a/top@>2"])
        assert {problem.code for problem in caught.value.problems} == {"unknown-target"}
        assert told(plan_remove(database, ["a/libb", "a/top"], force=True)) == {"remove": ["a/top-1"]}


def test_remove_leaves_what_another_package_satisfies(tmp_path: Path) -> None:
    there = ["a/a-1 gives v/e@1", "a/b-1 gives v/e@1", "a/user-1 needs v/e"]
    with database_of(tmp_path, *there) as database:
        assert told(plan_remove(database, ["a/a"])) == {"remove": ["a/a-1"]}
        assert told(plan_remove(database, ["a/a", "a/b"]))["remove"][0] == "a/user-1"


def test_reinstall_and_swap(tmp_path: Path) -> None:
    offered = catalog("a/x-1", "a/b-1 conflicts a/a", "a/a-1", "a/a-2")
    with database_of(tmp_path, "a/x-1", "a/a-1") as database:
        assert told(plan_reinstall(offered, database, ["a/x"])) == {"replace": ["a/x-1 -> a/x-1"]}
        assert told(plan_reinstall(offered, database, ["a/a"], "main", new=True)) == {"replace": ["a/a-1 -> a/a-2"]}
        assert told(plan_swap(offered, database, ["a/a"], ["a/b"])) == {"install": ["a/b-1"], "remove": ["a/a-1"]}
        assert told(plan_swap(offered, database, ["a/a"], ["a/a@2"])) == {"replace": ["a/a-1 -> a/a-2"]}
        with pytest.raises(FarmError) as caught:
            plan_reinstall(catalog("a/x-2"), database, ["a/x"])
        assert caught.value.code == "not-available"


def test_the_same_question_has_the_same_answer(tmp_path: Path) -> None:
    lines = [f"a/p{n}-{v} needs a/p{n // 2}@>={v}" for n in range(1, 40) for v in (1, 2)] + ["a/p0-1", "a/p0-2"]
    answers = set()
    for seed in range(5):
        random.Random(seed).shuffle(lines)
        change = install(tmp_path / str(seed), [], catalog(*lines), "a/p39", "a/p20")
        answers.add(tuple(ids(change.order)))
    assert len(answers) == 1


def holds(there: Iterable[Installed | Candidate]) -> list[str]:
    """What is wrong with a set of packages: several versions, missing requirements, conflicts."""
    index = Index([*there])
    wrong = []
    for n, package in enumerate(index.packages):
        wrong += [f"{package.id} twice" for other in index.ids if other.atom == package.id.atom and other != package.id]
        wrong += [f"{package.id} needs {one}" for one in package.requires if not index.fitting(one)]
        wrong += [f"{package.id} x {one}" for one in package.conflicts if set(index.fitting(one)) - {n}]
    return wrong


@pytest.mark.parametrize("seed", range(60))
def test_every_answer_is_a_whole_root(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)

    def line(n: int, version: int) -> str:
        needs = [
            f"a/p{rng.randrange(12)}@{rng.choice(['>=1', '>=2', '<3', '2', '*'])}" for _ in range(rng.randrange(3))
        ]
        foes = [f"a/p{rng.randrange(12)}@{rng.choice(['<2', '3'])}"] if rng.random() < 0.2 else []
        gives = [f"v/v{rng.randrange(3)}@1"] if rng.random() < 0.2 else []
        needs += [f"v/v{rng.randrange(3)}"] if rng.random() < 0.2 else []
        parts = (("needs", needs), ("conflicts", foes), ("gives", gives))
        return " ".join([f"a/p{n}-{version}", *(f"{key} {' '.join(words)}" for key, words in parts if words)])

    offered = catalog(*(line(n, version) for n in range(12) for version in (1, 2, 3)))
    with Database(tmp_path / "anise.sqlite") as database:
        for _ in range(6):
            before = {one.id.atom: one for one in database.installed()}
            try:
                word = f"a/p{rng.randrange(12)}"
                change = (
                    plan_upgrade(offered, database) if rng.random() < 0.3 else plan_install(offered, database, [word])
                )
            except FarmError as failure:
                assert failure.code in ("unsatisfiable", "missing-requirement")
                continue
            now = {**before, **{one.id.atom: one for one in change.arrivals}}
            assert not holds(now.values())
            assert not change.remove
            with database.transaction():
                for old in change.departures:
                    database.remove(old.id)
                for one in change.arrivals:
                    database.add(Installed(one.id, "main", one.entry.metadata.runtime))
