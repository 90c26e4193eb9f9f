# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs, on a real store, with a runner that follows a script."""

from __future__ import annotations

import functools
import json
import threading
from collections import Counter
from pathlib import Path

import pytest
from scripted import ScriptedRunner, job, pack, patiently, plan

from farm.engine import host
from farm.engine.events import (
    Event,
    NodeBlocked,
    NodeRetried,
    NodeStarted,
    NodeWaiting,
    RunEstimated,
    RunFinished,
    RunStarted,
)
from farm.engine.journal import Journal
from farm.engine.loop import run_plan
from farm.engine.options import Options
from farm.engine.summary import Summary, summary_to_json
from farm.plan.job import Assemble, Fetch, FileInput, Job, Made, Seed, Unpack
from farm.plan.node import Node, Plan
from farm.store.store import Store

QUICK = Options(jobs=2, first_delay=0.01)


@pytest.fixture(autouse=True)
def no_pressure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "under_pressure", lambda: False)


def diamond() -> Plan:
    return plan(
        job("base"),
        job("left", needs=("base",)),
        job("right", needs=("base",)),
        job("top", needs=("base", "left", "right")),
    )


def of_kind(events: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


def test_runs_once_and_is_cached(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    first = run_plan(diamond(), store, runner, journal, QUICK)
    again = run_plan(diamond(), store, runner, journal, QUICK)
    assert first.outcome == again.outcome == "ok"
    assert first.counts == {"ok": 4} and again.counts == {"cached": 4}
    assert first.made["top"].layer == again.made["top"].layer
    assert (first.cached, again.cached) == (0.0, 1.0)
    assert set(runner.ran.values()) == {1}
    assert [run.outcome for run in journal.runs()] == ["ok", "ok"]
    assert len(journal.executions()) == 4


def test_early_cut_off(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    run_plan(plan(job("a", "write x 1"), job("b", needs=("a",))), store, runner, journal, QUICK)
    changed = plan(job("a", "say changed", "write x 1"), job("b", needs=("a",)))
    assert run_plan(changed, store, runner, journal, QUICK).counts == {"ok": 1, "cached": 1}


def test_what_reads_a_layer_that_is_found_damaged_meanwhile_is_tried_again(
    store: Store, journal: Journal, runner: ScriptedRunner
) -> None:
    base = job("base", "write x 1")
    events: list[Event] = []

    def damaged(event: Event) -> None:
        """Somebody verifies the store, and somebody makes the layer again, while ``top`` runs."""
        events.append(event)
        if isinstance(event, NodeStarted) and event.node == "top" and event.attempt == 1:
            patiently(lambda: runner.ran["wait go"])
            with Store(store.root) as other, Journal(store.root) as its_journal:
                (layer,) = (path for path in store.root.glob("layers/*/*/fs") if (path / "x").exists())
                (layer / "x").write_text("damaged")
                assert [problem.code for problem in other.verify()] == ["damaged-layer"]
                assert run_plan(plan(base), other, runner, its_journal, QUICK).counts == {"ok": 1}
            runner.events["go"].set()

    summary = run_plan(plan(base, job("top", "wait go", needs=("base",))), store, runner, journal, QUICK, [damaged])
    assert (summary.outcome, summary.counts) == ("ok", {"ok": 2})
    [again] = of_kind(events, NodeRetried)
    assert isinstance(again, NodeRetried) and "damaged-input" in str(again.failure)


def test_event_order_and_json(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    events: list[Event] = []
    run_plan(diamond(), store, runner, journal, QUICK, [events.append])
    assert isinstance(events[0], RunStarted) and isinstance(events[-1], RunFinished)
    assert len(of_kind(events, RunEstimated)) == 1
    names = [event.to_json()["event"] for event in events]
    assert Counter(names)["node-started"] == Counter(names)["node-finished"] == 4
    for event in events:
        json.dumps(event.to_json())
    started = [event.node for event in events if isinstance(event, NodeStarted)]
    assert started[0] == "base" and started[-1] == "top"


def test_a_listener_that_raises_stops_nothing(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    calls: Counter[type[Exception]] = Counter()

    def broken(fault: type[Exception], event: Event) -> None:
        calls[fault] += 1
        raise fault

    events: list[Event] = []
    listeners = [functools.partial(broken, BrokenPipeError), functools.partial(broken, KeyError), events.append]
    assert run_plan(diamond(), store, runner, journal, QUICK, listeners).outcome == "ok"
    assert isinstance(events[-1], RunFinished)
    assert calls == {BrokenPipeError: 1, KeyError: len(events)}  # who cannot be reached is told no more


def test_failure(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    nodes = plan(job("bad", "say hello", "fail 3"), job("above", needs=("bad",)), job("other"), targets=("above",))
    events: list[Event] = []
    summary = run_plan(nodes, store, runner, journal, Options(jobs=1), [events.append])
    assert summary.outcome == "failed"
    assert summary.counts == {"failed": 1, "blocked": 1, "skipped": 1}
    (failed,) = summary.failures
    assert failed.node == "bad" and failed.failure and failed.failure.exit_code == 3
    assert failed.tail == ("hello",) and failed.log and failed.log.read_text() == "hello\n"
    assert summary.blocked == {"above": "bad"}
    assert [event.by for event in of_kind(events, NodeBlocked) if isinstance(event, NodeBlocked)] == ["bad"]
    json.dumps(summary_to_json(summary))
    assert run_plan(nodes, store, runner, journal, Options(jobs=1)).counts["failed"] == 1
    assert runner.ran["say hello"] == 2


def test_keep_going(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    nodes = plan(job("bad", "fail 1"), job("above", needs=("bad",)), job("other"))
    summary = run_plan(nodes, store, runner, journal, Options(jobs=1, keep_going=True))
    assert summary.counts == {"failed": 1, "blocked": 1, "ok": 1}


@pytest.mark.parametrize("trouble", ["infra 2", "transient"])
def test_retry(store: Store, journal: Journal, runner: ScriptedRunner, trouble: str) -> None:
    events: list[Event] = []
    summary = run_plan(plan(job("a", trouble, "write x y")), store, runner, journal, QUICK, [events.append])
    assert summary.counts == {"ok": 1}
    retried = of_kind(events, NodeRetried)
    assert len(retried) == runner.ran[trouble] - 1 > 0
    statuses = [found.status for found in reversed(journal.executions("a"))]
    assert statuses == ["infra"] * len(retried) + ["ok"]
    assert len({found.log for found in journal.executions("a")}) == len(statuses)


def test_retry_ends(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    summary = run_plan(plan(job("a", "infra 99")), store, runner, journal, QUICK)
    assert summary.counts == {"infra": 1} and runner.ran["infra 99"] == 3


def test_a_bug_is_an_infra_failure(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    summary = run_plan(plan(job("a", "crash")), store, runner, journal, QUICK)
    (failed,) = summary.failures
    assert failed.status == "infra" and "RuntimeError" in failed.tail[-1]
    assert runner.ran["crash"] == 1


def test_at_most_so_many_jobs(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    nodes = plan(*(job(f"n{n}", "sleep 0.02", f"write x {n}") for n in range(8)))
    run_plan(nodes, store, runner, journal, Options(jobs=3))
    assert runner.most == 3


def run_in_thread(*arguments: object) -> tuple[threading.Thread, list[Summary]]:
    summaries: list[Summary] = []
    thread = threading.Thread(target=lambda: summaries.append(run_plan(*arguments)), daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread, summaries


def test_cancel(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    nodes = plan(job("a", "wait never"), job("b", "wait never2"), job("c"), job("d", needs=("a",)))
    cancel = threading.Event()
    thread, summaries = run_in_thread(nodes, store, runner, journal, QUICK, (), cancel)
    patiently(lambda: runner.now == 2)
    cancel.set()
    thread.join(5)
    assert summaries[0].outcome == "cancelled"
    assert summaries[0].counts == {"cancelled": 2, "skipped": 2}
    assert not any((store.root / "tmp").glob("*/job-*"))
    assert [run.outcome for run in journal.runs()] == ["cancelled"]


def test_cancel_before_the_start(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    cancel = threading.Event()
    cancel.set()
    summary = run_plan(diamond(), store, runner, journal, QUICK, (), cancel)
    assert summary.outcome == "cancelled" and not runner.ran


def test_cancel_while_waiting_for_a_retry(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    cancel = threading.Event()
    events: list[Event] = []
    options = Options(jobs=1, first_delay=1000)
    arguments = (plan(job("a", "infra 9")), store, runner, journal, options, [events.append], cancel)
    thread, summaries = run_in_thread(*arguments)
    patiently(lambda: of_kind(events, NodeRetried))
    cancel.set()
    thread.join(5)
    assert summaries[0].counts == {"cancelled": 1}


def test_two_farms_share(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    """The second waits for what the first makes, does something else meanwhile, and makes nothing twice."""
    nodes = plan(job("slow", "wait go", "write s s"), job("top", needs=("slow",)), job("other"), targets=("top",))
    events: list[Event] = []
    one = Options(jobs=1)
    with Store(store.root) as store2, Journal(store.root) as journal2:
        first, made1 = run_in_thread(nodes, store, runner, journal, one)
        patiently(lambda: runner.ran["wait go"])
        second, made2 = run_in_thread(nodes, store2, runner, journal2, one, [events.append])
        patiently(lambda: of_kind(events, NodeWaiting) and runner.ran["write other other"])
        assert {found.node for found in journal2.running()} >= {"slow"}
        runner.events["go"].set()
        first.join(10)
        second.join(10)
    assert made1[0].outcome == made2[0].outcome == "ok"
    assert set(runner.ran.values()) == {1}
    assert made1[0].made == made2[0].made
    assert len(journal.runs()) == 2


def test_another_farm_gives_up(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    nodes = plan(job("a", "wait go", "write x y"))
    cancel = threading.Event()
    events: list[Event] = []
    with Store(store.root) as store2, Journal(store.root) as journal2:
        first, made1 = run_in_thread(nodes, store, runner, journal, QUICK, (), cancel)
        patiently(lambda: runner.ran["wait go"] == 1)
        second, made2 = run_in_thread(nodes, store2, runner, journal2, QUICK, [events.append])
        patiently(lambda: of_kind(events, NodeWaiting))
        cancel.set()
        first.join(10)
        patiently(lambda: runner.ran["wait go"] == 2)
        runner.events["go"].set()
        second.join(10)
    assert (made1[0].outcome, made2[0].outcome) == ("cancelled", "ok")


def test_same_key_twice_in_a_plan(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    nodes = plan(job("a", "sleep 0.05", "write x y"), job("b", "sleep 0.05", "write x y"), targets=("a", "b"))
    summary = run_plan(nodes, store, runner, journal, QUICK)
    assert summary.counts == {"ok": 1, "cached": 1} and runner.ran["sleep 0.05"] == 1
    assert summary.made["a"] == summary.made["b"]


def test_fetch_that_is_there(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    digest = store.put_blob(b"source")
    summary = run_plan(plan(Node("fetch", Fetch(digest, ()))), store, runner, journal, QUICK)
    assert summary.counts == {"cached": 1} and summary.made["fetch"].size == 6


def test_fetch_from_a_file(store: Store, journal: Journal, runner: ScriptedRunner, tmp_path: Path) -> None:
    import hashlib

    (tmp_path / "source").write_bytes(b"source")
    sha256 = hashlib.sha256(b"source").hexdigest()
    node = Node("fetch", Fetch(sha256, ((tmp_path / "source").as_uri(),)))
    summary = run_plan(plan(node), store, runner, journal, QUICK)
    assert summary.counts == {"ok": 1} and summary.made["fetch"].blob == sha256


def test_scratch_seed(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    nodes = plan(Node("seed", Seed("scratch")))
    assert run_plan(nodes, store, runner, journal, QUICK).counts == {"ok": 1}
    assert run_plan(nodes, store, runner, journal, QUICK).counts == {"cached": 1}


def test_package_and_back(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    """A packed layer, unpacked, is the same layer; assembling takes nothing but the store."""
    unpacked = Node("join", Unpack(Made("pack", "package")))
    inputs = (FileInput("/etc/motd", store.put_blob(b"hello\n")),)
    assembled = Node("copy", Assemble((Made("join", "layer"),), inputs))
    nodes = plan(job("a"), pack("pack", "a"), unpacked, assembled, targets=("a", "pack", "join", "copy"))
    made = run_plan(nodes, store, runner, journal, QUICK).made
    assert made["join"].layer == made["a"].layer
    assert (store.layer_path(str(made["copy"].layer)) / "etc" / "motd").read_bytes() == b"hello\n"
    assert run_plan(nodes, store, runner, journal, QUICK).counts == {"cached": 4}


def test_a_node_that_cannot_be_resolved(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    bad = Node("bad", Job(steps=("write a b",)), env=("=x",))
    summary = run_plan(plan(bad, job("above", needs=("bad",))), store, runner, journal, QUICK)
    assert summary.counts == {"failed": 1, "blocked": 1} and not runner.ran


def test_nothing_to_do(store: Store, journal: Journal, runner: ScriptedRunner) -> None:
    assert run_plan(Plan({}, ()), store, runner, journal).outcome == "ok"


def test_pressure_lets_one_run(
    store: Store, journal: Journal, runner: ScriptedRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "under_pressure", lambda: True)
    nodes = plan(*(job(f"n{n}", "sleep 0.02", f"write x {n}") for n in range(4)))
    run_plan(nodes, store, runner, journal, Options(jobs=4))
    assert runner.most == 1
