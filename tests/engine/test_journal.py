# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: what is written, who is alive, what history tells."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scripted import job

from farm.engine.events import Event, NodeFinished, NodeRetried, NodeStarted, RunFinished, RunStarted
from farm.engine.history import GUESSES, SOURCE_SPEED, atom
from farm.engine.journal import Journal
from farm.engine.process import alive, birth, me
from farm.plan.job import ArchiveInput, Job, Limits, Made
from farm.plan.node import Result, key_document, key_of
from farm.runner.protocol import Failure, Status
from farm.spec.problem import FarmError

KEY = "ab" * 32


def began(run: str, node: str, at: float, *, package: str | None = None, attempt: int = 1, kind: str = "job") -> Event:
    log = Path(f"/logs/{run}/{node}-{attempt}.log")
    return NodeStarted(run, at, node, package, kind, KEY, attempt, log, 1.0)


def ended(run: str, node: str, at: float, status: Status = "ok", key: str = KEY, *, kind: str = "job") -> Event:
    package = "c/a-1" if node == "a" else None
    failure = None if status in ("ok", "cached") else Failure(2, 1, "exit")
    attempt = 0 if status == "cached" else 1
    return NodeFinished(run, at, node, package, kind, status, key, attempt, Result(layer=KEY), failure, cpu=0.5)


def write(journal: Journal, *events: Event) -> None:
    for event in events:
        journal.write(event)
    journal.flush()


def test_execution(journal: Journal) -> None:
    run = journal.begin(["farm", "build"])
    write(journal, RunStarted(run, 1.0, 3, ("a",), "sandbox", 2), began(run, "a", 10.0, package="c/a-1"))
    (now,) = journal.running()
    assert (now.node, now.status, now.wall) == ("a", "running", None)
    assert [live.id for live in journal.live_runs()] == [run]
    write(
        journal,
        ended(run, "a", 12.5, "failed"),
        RunFinished(run, 13.0, "failed", {"failed": 1}, 3, 0.5),
    )
    (found,) = journal.executions("a")
    assert (found.status, found.wall, found.cpu) == ("failed", 2.5, 0.5)
    assert found.failure and found.failure["command"] == 2
    (past,) = journal.runs()
    assert (past.outcome, past.nodes, past.counts, past.argv) == ("failed", 3, {"failed": 1}, ("farm", "build"))
    assert not journal.running() and not journal.live_runs()


def test_log_by_any_name(journal: Journal) -> None:
    run = journal.begin()
    write(journal, began(run, "job:c/a-1.0", 1.0, package="c/a-1.0"), ended(run, "job:c/a-1.0", 2.0))
    write(
        journal,
        began(run, "pack:c/a-1.0", 3.0, package="c/a-1.0", kind="pack"),
        ended(run, "pack:c/a-1.0", 4.0, kind="pack"),
    )
    log = Path(f"/logs/{run}/job:c/a-1.0-1.log")
    assert {journal.log_of(name) for name in ("job:c/a-1.0", "c/a-1.0", "c/a", KEY[:8], KEY)} == {log}
    assert [journal.log_of(name) for name in ("c/b", "abab", "cdcdcdcd", "%", "c/a-%")] == [None] * 5
    write(journal, began(run, "pack:c/a-1.0", 5.0, package="c/a-1.0", attempt=2, kind="pack"))
    running = journal.latest("c/a-1.0")
    assert running and running.node == "pack:c/a-1.0" and running.status == "running"


def test_a_retry_is_two_executions(journal: Journal) -> None:
    run = journal.begin()
    failure, log = Failure(-1, None, "busy"), Path("/log")
    retried = NodeRetried(run, 2.0, "a", None, "job", KEY, 1, failure, 0.5, 1.0, log)
    write(journal, began(run, "a", 1.0), retried, began(run, "a", 3.0, attempt=2))
    assert [(found.attempt, found.status) for found in journal.executions()] == [(2, "running"), (1, "infra")]


def test_keys_over_time(journal: Journal) -> None:
    run = journal.begin()
    write(journal, ended(run, "a", 1.0, key="k1"), ended(run, "a", 2.0, "cached", key="k1"))
    write(journal, ended(run, "a", 3.0, "cached", key="k2"), ended(run, "a", 4.0, "failed", key="k3"))
    assert [use.key for use in journal.keys_of("a")] == ["k2", "k1"]
    assert journal.last_key("a") == "k2" and journal.last_key("b") is None
    with Journal(journal.root) as later:
        run = later.begin()
        write(later, ended(run, "a", 5.0, "cached", key="k2"), ended(run, "a", 6.0, "cached", key="k1"))
        assert [use.key for use in later.keys_of("a")] == ["k1", "k2", "k1"]


def test_cached_nodes_cost_one_row(journal: Journal) -> None:
    run = journal.begin()
    write(journal, *(ended(run, "a", 1.0, "cached") for _ in range(50)))
    assert [event["event"] for _, event in journal.events(run)] == ["nodes-cached"]
    assert journal.events(run)[0][1]["count"] == 50
    assert not journal.executions()


def test_events_in_order(journal: Journal) -> None:
    run = journal.begin()
    write(journal, RunStarted(run, 1.0, 1, ("a",), "sandbox", 2), began(run, "a", 2.0), ended(run, "a", 3.0))
    numbers = [number for number, _ in journal.events(run)]
    assert numbers == sorted(numbers)
    after = journal.events(run, after=numbers[0])
    assert [event["event"] for _, event in after] == ["node-started", "node-finished"]


def test_estimates(journal: Journal) -> None:
    run = journal.begin()
    for number, seconds in enumerate((1.0, 9.0, 2.0)):
        node, package = ("a", "c/a-1.0") if number < 2 else ("b", "c/b-1.0")
        write(journal, NodeStarted(run, 0.0, node, package, "job", KEY, number + 1, Path("/log"), 1.0))
        journal.write(NodeFinished(run, seconds, node, package, "job", "ok", KEY, number + 1))
    journal.flush()
    nodes = [job("a"), job("other", package="c/b-1.1-r2"), job("new", package="c/new-1")]
    assert journal.estimates(nodes) == {"a": 5.0, "other": 2.0, "new": 2.0}


def test_what_a_spec_expects_counts_until_it_was_made(journal: Journal) -> None:
    slow = dataclasses.replace(job("slow", package="c/slow-1"), action=Job(limits=Limits(expected=5400.0)))
    assert journal.estimates([slow]) == {"slow": 5400.0}
    run = journal.begin()
    write(journal, NodeStarted(run, 0.0, "slow", "c/slow-1", "job", KEY, 1, Path("/log"), 1.0))
    write(journal, NodeFinished(run, 4000.0, "slow", "c/slow-1", "job", "ok", KEY, 1))
    assert journal.estimates([slow, job("fast")]) == {"slow": 4000.0, "fast": 4000.0}
    assert journal.estimates([dataclasses.replace(slow, id="next", package="c/slow-2")]) == {"next": 4000.0}
    assert key_of(key_document(slow.action)) == key_of(key_document(Job()))


def test_large_sources_are_expected_to_take_long(journal: Journal) -> None:
    needs = Job(inputs=(ArchiveInput(Made("source:gcc", "blob"), "/gcc"),))
    gcc = dataclasses.replace(job("gcc"), action=needs)
    assert journal.estimates([gcc], {"source:gcc": 84 << 20}.__getitem__) == {"gcc": (84 << 20) / SOURCE_SPEED}
    assert (
        journal.estimates([gcc], {"source:gcc": 1000}.__getitem__)
        == journal.estimates([gcc])
        == {"gcc": GUESSES["job"]}
    )


def test_guesses(journal: Journal) -> None:
    assert journal.estimates([job("a")]) == {"a": GUESSES["job"]}


@pytest.mark.parametrize("version", ["1", "1.2.3", "1.2_rc1-r3", "20240101", "1.0+2", "1.0-r1+2"])
def test_atom(version: str) -> None:
    assert atom(f"cat/gtk-2-bin-{version}") == "cat/gtk-2-bin"


def test_a_dead_run_is_interrupted(store_folder: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from farm.engine.journal import Journal\n"
        "from farm.engine.events import NodeStarted\n"
        "journal = Journal(Path(sys.argv[1])); run = journal.begin()\n"
        "journal.write(NodeStarted(run, 5.0, 'a', None, 'job', 'k', 1, Path('/log'), 1.0)); journal.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(store_folder)], check=False)
    with Journal(store_folder) as journal:
        assert [run.outcome for run in journal.runs()] == ["interrupted"]
        assert [found.status for found in journal.executions()] == ["interrupted"]
        assert not journal.running() and not journal.live_runs()
        journal.begin()
        assert [run.outcome for run in journal.runs()] == ["running", "interrupted"]


@pytest.fixture
def store_folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def _many(folder: Path, number: int) -> None:
    with Journal(folder) as journal:
        run = journal.begin()
        for count in range(30):
            node = f"n{number}-{count}"
            write(journal, began(run, node, 1.0), ended(run, node, 2.0))


def test_several_farms_write_at_once(store_folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    farms = [context.Process(target=_many, args=(store_folder, number)) for number in range(4)]
    for farm in farms:
        farm.start()
    for farm in farms:
        farm.join()
        assert farm.exitcode == 0
    with Journal(store_folder) as journal:
        assert len(journal.executions(limit=1000)) == 120


def test_expire(journal: Journal) -> None:
    old, new = journal.begin(), journal.begin()
    for run, at in ((old, 100.0), (new, time.time())):
        (journal.root / "logs" / run).mkdir(parents=True)
        write(journal, began(run, "a", at), ended(run, "a", at), RunFinished(run, at, "ok", {}, 0, 0))
    assert journal.expire(before=1000.0) == [old]
    assert [path.name for path in (journal.root / "logs").iterdir()] == [new]
    assert not journal.events(old) and journal.events(new)
    assert len(journal.executions("a")) == 2


def test_a_newer_journal_is_refused(store_folder: Path) -> None:
    Journal(store_folder).close()
    database = sqlite3.connect(store_folder / "journal.db")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(FarmError) as caught:
        Journal(store_folder)
    assert caught.value.code == "journal-version"


def test_a_damaged_journal_is_told(store_folder: Path) -> None:
    store_folder.mkdir()
    (store_folder / "journal.db").write_bytes(b"no database" * 1000)
    with pytest.raises(FarmError) as caught:
        Journal(store_folder)
    assert caught.value.code == "journal-damaged"


def test_a_journal_that_cannot_be_opened_is_told(store_folder: Path) -> None:
    (store_folder / "journal.db").mkdir(parents=True)
    with pytest.raises(FarmError) as caught:
        Journal(store_folder)
    assert caught.value.code == "journal-unavailable"


def test_processes() -> None:
    assert alive(*me())
    assert not alive(os.getpid(), "another boot:1") and not alive(1 << 22, "") and birth(1 << 22) == ""
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    born = birth(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not alive(child.pid, born)
    child.wait()
