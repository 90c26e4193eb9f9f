# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole farms, as their users start them: two at once, cancelled, and killed."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from farm.engine.journal import Journal

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
KILL_TEST = Path(__file__).resolve().parents[2] / "benchmarks" / "kill_test.py"


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kill_test", KILL_TEST)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["kill_test"] = module
    spec.loader.exec_module(module)
    return module


class Farms:
    """A small tree and farms that build it on one store."""

    def __init__(self, benchmark: ModuleType, folder: Path) -> None:
        self.benchmark = benchmark
        self.place = benchmark.Place(folder, "sandbox")
        self.store = folder / "store"
        (folder / "home").mkdir()
        benchmark.make_root(folder / "root.tar")
        benchmark.make_tree(folder / "tree", folder / "root.tar", middles=3)

    def start(self, *, status: bool = False) -> subprocess.Popen[str]:
        command = self.place.command(self.store, "status", "--json") if status else self.place.build(self.store)
        return subprocess.Popen(command, env=self.place.environment, stdout=subprocess.PIPE, text=True)

    def traces(self) -> list[str]:
        found: list[str] = self.benchmark.traces(self.place.folder) + self.benchmark.groups(self.store)
        return found


@pytest.fixture
def farms(benchmark: ModuleType, tmp_path: Path) -> Farms:
    return Farms(benchmark, tmp_path.resolve())


def test_two_farms_at_once(farms: Farms) -> None:
    both = [farms.start(), farms.start()]
    outputs = [farm.communicate(timeout=120)[0] for farm in both]
    assert [farm.returncode for farm in both] == [0, 0]
    assert farms.benchmark.made_twice(farms.store) == []
    finished = [json.loads(line) for output in outputs for line in output.splitlines() if "node-finished" in line]
    made = [event["node"] for event in finished if event["status"] == "ok"]
    assert len(made) == len(set(made)) == len(finished) / 2
    assert farms.traces() == []


def test_cancel_leaves_nothing(farms: Farms) -> None:
    base = farms.place.folder / "tree" / "base" / "build.yaml"
    base.write_text(base.read_text() + "- sleep 1000\n")
    farm = farms.start()
    with Journal(farms.store) as journal:
        wait_for(lambda: any(found.kind == "job" for found in journal.running()))
        farm.send_signal(signal.SIGINT)
        farm.communicate(timeout=30)
        assert farm.returncode == 130
        assert not journal.running()
        statuses = {found.kind: found.status for found in journal.executions()}
        assert statuses["job"] == "cancelled"
        assert journal.runs()[0].outcome == "cancelled"
    wait_for(lambda: not farms.traces())
    assert not list((farms.store / "tmp").glob("*/*"))


def wait_for(condition: object, seconds: float = 30.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def kill(folder: Path, *options: str) -> str:
    command = [sys.executable, str(KILL_TEST), "--folder", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_kills(tmp_path: Path) -> None:
    kill(tmp_path, "--kills", "5", "--seed", str(time.time_ns()))


@pytest.mark.slow
def test_many_kills(tmp_path: Path) -> None:
    kill(tmp_path, "--kills", "40")


@pytest.mark.slow
@pytest.mark.docker
def test_many_kills_with_docker(tmp_path: Path, docker_host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    kill(tmp_path, "--kills", "20", "--runner", "docker")
