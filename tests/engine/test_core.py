# SPDX-License-Identifier: GPL-3.0-or-later
"""The state machine: tables for single rules, and invariants over random graphs and random luck."""

from __future__ import annotations

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.engine.core import FAILURES, Core, remaining_paths
from farm.engine.moves import (
    Away,
    Back,
    Begin,
    Cancelled,
    Capacity,
    Drop,
    Ended,
    Happening,
    Instruction,
    Look,
    Looked,
    Pressed,
    Resized,
    Start,
    Task,
)


def begun(*tasks: Task, capacity: Capacity | None = None, keep_going: bool = False) -> tuple[Core, list[str]]:
    """A core whose first looks all missed, and what it started."""
    core = Core(tasks, capacity or Capacity(), keep_going=keep_going)
    return core, settle(core, core.handle(Begin()))


def settle(core: Core, orders: list[Instruction]) -> list[str]:
    """Answers all looks with "missing"; the ids of what was started."""
    started = [order.node for order in orders if isinstance(order, Start)]
    for order in orders:
        if isinstance(order, Look):
            started += settle(core, core.handle(Looked(missing=order.nodes)))
    return started


def drops(orders: list[Instruction]) -> dict[str, tuple[str, str]]:
    return {order.node: (order.status, order.by) for order in orders if isinstance(order, Drop)}


def test_remaining_paths() -> None:
    tasks = [Task("a", seconds=1), Task("b", ("a",), 5), Task("c", ("a",), 2), Task("d", ("b", "c"), 3)]
    assert remaining_paths(tasks) == {"a": 9, "b": 8, "c": 5, "d": 3}


def test_longest_path_first() -> None:
    core, started = begun(Task("short", seconds=1), Task("long", seconds=2), Task("above", ("short",), 5))
    assert started == ["short"]
    assert settle(core, core.handle(Ended("short", "ok"))) == ["above"]
    assert settle(core, core.handle(Ended("above", "ok"))) == ["long"]


def test_nothing_starts_while_a_look_is_open() -> None:
    core = Core([Task("a"), Task("b", ("a",))], Capacity(jobs=2, cores=2))
    assert core.handle(Begin()) == [Look(("a",))]
    assert core.handle(Looked(found=("a",))) == [Look(("b",))]
    assert core.handle(Pressed(False)) == []
    assert core.handle(Looked(missing=("b",))) == [Start("b")]


def test_looks_go_level_by_level() -> None:
    core = Core([Task("a"), Task("b"), Task("c", ("a",)), Task("d", ("b",))], Capacity())
    assert core.handle(Begin()) == [Look(("a", "b"))]
    assert core.handle(Looked(found=("a", "b"))) == [Look(("c", "d"))]


def test_failure_stops_the_run() -> None:
    core, started = begun(Task("a", seconds=9), Task("b"), Task("c", ("a",)), Task("d", ("c",)))
    assert started == ["a"]
    orders = core.handle(Ended("a", "failed"))
    assert drops(orders) == {"b": ("skipped", ""), "c": ("blocked", "a"), "d": ("blocked", "a")}
    assert core.over


def test_failure_lets_running_ones_finish() -> None:
    core, started = begun(Task("a"), Task("b"), Task("c", ("b",)), capacity=Capacity(2, 2))
    assert sorted(started) == ["a", "b"]
    assert drops(core.handle(Ended("a", "timeout"))) == {"c": ("skipped", "")}
    assert not core.over
    assert core.handle(Ended("b", "ok")) == []
    assert core.over


def test_keep_going_blocks_only_what_depends() -> None:
    core, _ = begun(Task("a", seconds=9), Task("b"), Task("c", ("a",)), Task("d", ("b",)), keep_going=True)
    assert drops(core.handle(Ended("a", "infra"))) == {"c": ("blocked", "a")}
    assert settle(core, core.handle(Ended("b", "ok"))) == ["d"]
    core.handle(Ended("d", "ok"))
    assert core.over


def test_cancel_skips_what_does_not_run() -> None:
    core, _ = begun(Task("a", seconds=9), Task("b"), Task("c", ("a",)))
    assert drops(core.handle(Cancelled())) == {"b": ("skipped", ""), "c": ("skipped", "")}
    assert core.handle(Ended("a", "cancelled")) == []
    assert core.over


def test_away_gives_the_place_back() -> None:
    core, started = begun(Task("a", seconds=9), Task("b"), Task("c"))
    assert started == ["a"]
    assert core.handle(Away("a")) == [Start("b")]
    assert core.handle(Back("a")) == []
    assert core.handle(Ended("b", "ok")) == [Start("a")]


def test_away_ends_as_cached() -> None:
    core, _ = begun(Task("a", seconds=9), Task("b", ("a",)))
    core.handle(Away("a"))
    assert core.handle(Ended("a", "cached")) == [Look(("b",))]


def test_fetches_take_no_core() -> None:
    tasks = [*(Task(f"f{n}", fetch=True) for n in range(3)), Task("job")]
    _, started = begun(*tasks, capacity=Capacity(jobs=1, cores=1, fetches=2))
    assert started == ["f0", "f1", "job"]


def test_too_much_asked_gets_all_there_is() -> None:
    core, started = begun(Task("huge", seconds=9, cores=64, memory=1 << 50), Task("b"), capacity=Capacity(4, 4, 1000))
    assert started == ["huge"]
    assert core.used == Capacity(1, 4, 1000, 0)


def played(
    tasks: list[Task], capacity: Capacity, really: dict[str, float] | None = None
) -> dict[str, tuple[float, float]]:
    """When each task begins and ends, in seconds, if it takes as long as expected or as ``really`` says.

    The core hears of the time once a second, too, as the loop tells it.
    """
    core, now = Core(tasks, capacity), 0.0
    begins: dict[str, float] = {}
    ends: dict[str, float] = {}

    def obey(orders: list[Instruction]) -> None:
        for order in orders:
            if isinstance(order, Look):
                obey(core.handle(Looked(missing=order.nodes), now))
            elif isinstance(order, Start):
                begins[order.node] = now
                ends[order.node] = now + (really or {}).get(order.node, core.tasks[order.node].seconds)

    obey(core.handle(Begin(), now))
    while not core.over:
        due = [name for name in begins if core.state[name] == "running"]
        assert due, "nothing runs, and the run is not over"
        name = min(due, key=ends.__getitem__)
        if ends[name] > now + 1:
            now += 1
            obey(core.handle(Pressed(False), now))
        else:
            now = max(now, ends[name])
            obey(core.handle(Ended(name, "ok"), now))
    return {name: (begins[name], ends[name]) for name in begins}


SMALL = [Task(f"s{n}", seconds=2) for n in range(60)]


def test_small_ones_run_while_a_big_one_waits() -> None:
    """No core is idle, and the big one starts the moment that it could have started without them."""
    run = played([Task("first", seconds=99), Task("big", seconds=50, cores=2), *SMALL], Capacity(2, 2))
    assert run["big"] == (99, 149)
    before = [name for name in run if name.startswith("s") and run[name][0] < 99]
    assert len(before) == 49
    assert all(run[name][1] <= 99 or run[name][0] >= 149 for name in run if name.startswith("s"))
    assert max(end for _, end in run.values()) == 149 + 2 * -(-(60 - 49) // 2)


def test_one_that_would_delay_a_big_one_does_not_start() -> None:
    tasks = [
        Task("first", seconds=10),
        Task("big", seconds=50, cores=2),
        Task("long", seconds=11),
        Task("s", seconds=9),
    ]
    run = played([*tasks, Task("above", ("first",), 45)], Capacity(2, 2))
    assert run == {"first": (0, 10), "s": (0, 9), "big": (10, 60), "above": (60, 105), "long": (60, 71)}


def test_what_is_spare_besides_a_big_one_is_used() -> None:
    tasks = [Task("first", seconds=90, cores=3), Task("big", seconds=80, cores=2), Task("long", seconds=70)]
    run = played(tasks, Capacity(4, 4))
    assert run == {"first": (0, 90), "long": (0, 70), "big": (90, 170)}


def test_memory_is_kept_free_as_cores_are() -> None:
    tasks = [Task("first", seconds=10, memory=6), Task("big", seconds=9, memory=6), Task("other", seconds=8, memory=3)]
    run = played([*tasks, Task("none", seconds=8)], Capacity(4, 4, 10))
    assert run["big"] == (10, 19) and run["other"][0] == 0 and run["none"][0] == 0
    tasks[2] = Task("other", seconds=8.5, memory=5)
    late = played([Task("now", seconds=2, memory=4), *tasks], Capacity(4, 4, 10))
    assert late["big"] == (10, 19) and late["other"][0] >= 10


def test_wrong_guesses_delay_a_big_one_once_only() -> None:
    """All small ones take a hundred times as long as expected, the first as well."""
    really = {task.id: 200.0 for task in SMALL} | {"first": 150.0}
    run = played([Task("first", seconds=99), Task("big", seconds=90, cores=2), *SMALL], Capacity(2, 2), really)
    assert [name for name in run if run[name][0] < run["big"][0]] == ["first", "s0"]
    assert run["big"][0] == 200


def test_one_that_takes_longer_lets_others_go_on() -> None:
    """The first takes ten times as long as expected: the other core is not idle until then."""
    tasks = [Task("first", seconds=10), Task("above", ("first",), 45), Task("big", seconds=50, cores=2)]
    run = played([*tasks, *SMALL], Capacity(2, 2), {"first": 100.0})
    assert run["big"][0] == 100
    busy = sum(min(end, 100) - begin for name, (begin, end) in run.items() if name.startswith("s") and begin < 100)
    assert busy >= 90


def test_pressure_lets_one_run() -> None:
    core = Core([Task("a"), Task("b")], Capacity(2, 2))
    core.handle(Pressed(True))
    assert settle(core, core.handle(Begin())) == ["a"]
    assert core.handle(Pressed(False)) == [Start("b")]


def test_more_capacity_starts_more() -> None:
    core, started = begun(Task("a"), Task("b"))
    assert started == ["a"]
    assert core.handle(Resized(Capacity(2, 2))) == [Start("b")]


def test_ending_twice_is_a_bug() -> None:
    core, _ = begun(Task("a"))
    core.handle(Ended("a", "ok"))
    with pytest.raises(ValueError, match="twice"):
        core.handle(Ended("a", "ok"))


@st.composite
def graphs(draw: st.DrawFn) -> list[Task]:
    size = draw(st.integers(0, 14))
    tasks: list[Task] = []
    for number in range(size):
        needs = draw(st.sets(st.integers(0, number - 1), max_size=4)) if number else set()
        task = Task(
            f"n{number}",
            tuple(f"n{need}" for need in sorted(needs)),
            seconds=draw(st.floats(0, 100)),
            cores=draw(st.integers(0, 6)),
            memory=draw(st.integers(0, 12)),
            fetch=draw(st.booleans()),
        )
        tasks.append(task)
    return tasks


@dataclasses.dataclass
class World:
    """Plays everything outside the core, at random, and checks each instruction against the rules."""

    core: Core
    luck: random.Random
    trouble: float
    ends: dict[str, str] = dataclasses.field(default_factory=dict)
    made: set[str] = dataclasses.field(default_factory=set)
    running: set[str] = dataclasses.field(default_factory=set)
    away: set[str] = dataclasses.field(default_factory=set)
    looking: set[str] = dataclasses.field(default_factory=set)
    shrunk: bool = False

    def tell(self, happening: Happening) -> None:
        for order in self.core.handle(happening):
            match order:
                case Look(nodes):
                    assert not self.looking & set(nodes)
                    self.looking |= set(nodes)
                    assert all(set(self.core.tasks[name].needs) <= self.made for name in nodes)
                case Start(node):
                    self.check_start(node)
                case Drop(node, status, by):
                    self.end(node, status)
                    assert (status == "blocked") == bool(by)
                    assert not by or self.ends[by] in FAILURES
        self.check_capacity()

    def check_start(self, node: str) -> None:
        assert node not in self.ends and node not in self.running and not self.looking
        task = self.core.tasks[node]
        assert set(task.needs) <= self.made
        if not task.fetch:
            self.check_longest_first(task)
        self.running.add(node)

    def check_longest_first(self, task: Task) -> None:
        """Of what is still ready and has a longer path, the longest does not fit now."""
        charges = [self.demand(name) for name in self.running if not self.core.tasks[name].fetch]
        cores = self.core.capacity.cores - sum(charge[0] for charge in charges)
        memory = self.core.capacity.memory - sum(charge[1] for charge in charges)
        ready = [
            name for name, state in self.core.state.items() if state == "ready" and not self.core.tasks[name].fetch
        ]
        longest = max(ready, key=self.core.paths.__getitem__, default=task.id)
        if self.core.paths[longest] > self.core.paths[task.id]:
            want = self.demand(longest)
            assert want[0] > cores or want[1] > memory

    def demand(self, name: str) -> tuple[int, int]:
        task, has = self.core.tasks[name], self.core.capacity
        return min(max(task.cores, 1), has.cores), min(task.memory, has.memory)

    def check_capacity(self) -> None:
        used, has = self.core.used, self.core.capacity
        jobs = {name for name in self.running if not self.core.tasks[name].fetch}
        assert used.jobs == len(jobs) and used.fetches == len(self.running) - len(jobs)
        assert used.fetches <= has.fetches
        if not self.shrunk:
            assert used.jobs <= has.jobs and used.cores <= has.cores and used.memory <= has.memory

    def end(self, node: str, status: str) -> None:
        assert node not in self.ends
        self.ends[node] = status
        self.running.discard(node)
        self.away.discard(node)
        self.looking.discard(node)
        if status in ("ok", "cached"):
            self.made.add(node)

    def step(self) -> None:
        if self.looking:
            found = {name for name in sorted(self.looking) if self.luck.random() < 0.3}
            missing = self.looking - found
            self.looking = set()
            for name in found:
                self.end(name, "cached")
            self.tell(Looked(tuple(sorted(found)), tuple(sorted(missing))))
            return
        assert self.running or self.away, "nothing runs, and the run is not over"
        name = self.luck.choice(sorted(self.running | self.away))
        if name in self.away:
            self.away.discard(name)
            if self.luck.random() < 0.5:
                self.tell(Back(name))
            else:
                self.end(name, "cached")
                self.tell(Ended(name, "cached"))
        elif self.luck.random() < 0.2:
            self.running.discard(name)
            self.away.add(name)
            self.tell(Away(name))
        else:
            bad = self.luck.random() < self.trouble
            status = self.luck.choice(sorted(FAILURES)) if bad else "ok"
            self.end(name, status)
            self.tell(Ended(name, status))


@settings(max_examples=300, deadline=None)
@given(
    graphs(),
    st.builds(Capacity, st.integers(1, 4), st.integers(1, 5), st.integers(0, 10), st.integers(1, 3)),
    st.booleans(),
    st.integers(0, 1 << 30),
    st.sampled_from([0.0, 0.0, 0.1, 0.5]),
    st.sampled_from(["", "cancel", "early cancel", "shrink", "press"]),
)
def test_invariants(
    tasks: list[Task], capacity: Capacity, keep_going: bool, seed: int, trouble: float, incident: str
) -> None:
    luck = random.Random(seed)
    world = World(Core(tasks, capacity, keep_going=keep_going), luck, trouble)
    if incident == "early cancel":
        world.tell(Cancelled())
    world.tell(Begin())
    happens_at = luck.randrange(10)
    for step in range(400):
        if world.core.over:
            break
        if step == happens_at and incident == "cancel":
            world.tell(Cancelled())
        elif step == happens_at and incident == "shrink":
            world.shrunk = True
            world.tell(Resized(Capacity(1, 1, 1, capacity.fetches)))
        elif incident == "press" and step % 7 == happens_at % 7:
            world.tell(Pressed(luck.random() < 0.5))
        if not world.core.over:
            world.step()
    assert world.core.over
    assert set(world.ends) == {task.id for task in tasks}
    if trouble == 0 and "cancel" not in incident:
        assert set(world.ends.values()) <= {"ok", "cached"}
    blocked = {name for name, status in world.ends.items() if status == "blocked"}
    for name in blocked:
        assert not set(world.core.tasks[name].needs) <= world.made
