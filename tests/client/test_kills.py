# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever kills a client at any moment finds the old root or the new one after the next command."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from transaction_bench import Bench, Item, folder, link, tree

from farm.client.transaction.recover import recover
from farm.store.removal import remove_tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")

WATCHED = frozenset(
    ("os.rename", "os.link", "os.mkdir", "os.rmdir", "os.remove", "os.chmod", "os.chown", "os.utime", "open")
)
"""Events of Python's audit hooks (PEP 578): each comes right before the system call of that name."""

Action = Callable[[Bench], object]


def old_packages(bench: Bench) -> None:
    bench.install(
        bench.package("a", [Item("usr/bin/a", b"old"), Item("kind/x", b"x"), Item("gone/b", b"x"), link("l", "kind")]),
        bench.package("b", {"usr/bin/b": "b", "usr/share/b/1": "1"}),
    )


def new_packages(bench: Bench) -> None:
    """Every kind of step, and a finalizer."""
    new = [Item("usr/bin/a", b"new"), Item("kind", b"file"), folder("l"), Item("l/x", b"x"), Item("fresh/a/b", b"n")]
    says = {"install": ["true"]}
    bench.upgrade(
        bench.package("a", new, "2.0", finalizer=says), bench.package("b", {"usr/bin/b": "B", "fresh/b": "b"}, "2.0")
    )


def remove_all(bench: Bench) -> None:
    bench.remove("a", "b")


def again_recovered(bench: Bench) -> None:
    bench.before()
    recover(bench.config, bench.database)


def child(path: Path, action: Action, event: int, delay: float) -> bool:
    """Does ``action`` in a process that is killed at that event, or after that time; whether it was."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = run_and_die(path, action, event, delay)
        except BaseException:  # noqa: BLE001 - shown, and told by the status
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def run_and_die(path: Path, action: Action, event: int, delay: float) -> int:
    seen = 0

    def hook(name: str, arguments: object) -> None:
        nonlocal seen
        if name in WATCHED:
            seen += 1
            if seen == event:
                os.kill(os.getpid(), signal.SIGKILL)

    def arm() -> None:
        if event:
            sys.addaudithook(hook)
        if delay:
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, delay)

    bench = Bench(path)
    bench.before = arm
    action(bench)
    return 0


def state(path: Path) -> tuple[object, object]:
    """The root and what the database says of it, after the next command began."""
    bench = Bench(path)
    try:
        recover(bench.config, bench.database)
        assert not (bench.config.database_path / "transaction").exists()
        installed = bench.database.installed()
        for one in installed:
            assert all(os.path.lexists(bench.root / name) for name in one.files), one
        return tree(bench.root), installed
    finally:
        bench.close()


def fresh(path: Path, before: Action | None) -> Path:
    if path.exists():
        remove_tree(path)
    path.mkdir()
    if before is not None:
        assert not child(path, before, 0, 0)
    return path


def states(path: Path, before: Action | None, action: Action) -> tuple[object, object]:
    old = state(fresh(path, before))
    assert not child(path, action, 0, 0)
    new = state(path)
    assert old != new
    return old, new


CASES = {
    "install": (None, old_packages),
    "upgrade": (old_packages, new_packages),
    "remove": (old_packages, remove_all),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 16])
def test_killed_before_any_system_call(case: str, step: int, tmp_path: Path) -> None:
    before, action = CASES[case]
    old, new = states(tmp_path / "x", before, action)
    found = []
    event = 1
    while child(fresh(tmp_path / "x", before), action, event, 0):
        found.append(state(tmp_path / "x"))
        assert found[-1] in (old, new), f"killed at event {event}"
        event += step
    assert found[0] == old
    assert found.count(new) >= 1 or step > 1
    assert found == sorted(found, key=lambda one: one == new), "no way back after the commit"


@pytest.mark.slow
def test_recovery_is_killed_too(tmp_path: Path) -> None:
    old, new = states(tmp_path / "x", old_packages, new_packages)
    for event in range(1, 400, 7):
        if not child(fresh(tmp_path / "x", old_packages), new_packages, event, 0):
            break
        again = 1
        while child(tmp_path / "x", again_recovered, again, 0):
            again += 3
        assert state(tmp_path / "x") in (old, new)


def many(version: str) -> Action:
    def action(bench: Bench) -> None:
        packages = [
            bench.package(
                f"p{n}",
                [Item(f"usr/{where}/p{n}-{i}-{version if i % 5 == 0 else ''}", f"{version}{i}".encode() * 200)
                 for i in range(30) for where in ("bin", f"share/p{n}")],
                version,
            )
            for n in range(20)
        ]  # fmt: skip
        (bench.install if version == "1.0" else bench.upgrade)(*packages)

    return action


def _time(path: Path, action: Action) -> float:
    """Seconds from the moment the packages are there."""
    begun = 0.0

    def start() -> None:
        nonlocal begun
        begun = time.monotonic()

    bench = Bench(path)
    bench.before = start
    action(bench)
    bench.close()
    return time.monotonic() - begun


@pytest.mark.parametrize("kills", [pytest.param(60, marks=pytest.mark.slow), 6])
def test_killed_at_any_time(kills: int, tmp_path: Path) -> None:
    chance = random.Random(kills)
    for before, action in ((None, many("1.0")), (many("1.0"), many("2.0"))):
        old, new = states(tmp_path / "x", before, action)
        fresh(tmp_path / "x", before)
        took = max(_time(tmp_path / "x", action), 0.05)
        for _ in range(kills // 2):
            fresh(tmp_path / "x", before)
            child(tmp_path / "x", action, 0, chance.uniform(0.01, 1.05) * took)
            assert state(tmp_path / "x") in (old, new)
