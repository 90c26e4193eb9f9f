# SPDX-License-Identifier: GPL-3.0-or-later
"""Runners to test, a store, and small roots to run jobs in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import job_roots
import pytest
from job_bench import Bench

from farm.plan.job import EPOCH
from farm.runner.protocol import Runner
from farm.runner.registry import RUNNERS, get_runner
from farm.spec.problem import FarmError
from farm.store.store import Store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest.fixture(scope="session")
def base(store: Store) -> str:
    program = job_roots.busybox()
    if program is None:
        pytest.skip("no static busybox on this host (package busybox-static)")
    return store.import_layer(job_roots.busybox_root(program), epoch=EPOCH).digest


@pytest.fixture(scope="session")
def python(store: Store) -> str:
    """A layer with ``/bin/python``, for what busybox cannot do."""
    return store.import_layer(job_roots.python_root(), epoch=EPOCH).digest


@pytest.fixture(scope="session", params=sorted(RUNNERS))
def runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    if request.param == "docker":
        request.getfixturevalue("docker_host")
    yield from ready_runner(request.param)


@pytest.fixture(scope="session")
def sandbox_runner() -> Iterator[Runner]:
    yield from ready_runner("sandbox")


def ready_runner(name: str) -> Iterator[Runner]:
    """The runner; skips, saying why, when this host cannot have it."""
    if os.geteuid() != 0:
        pytest.skip("runners are tested as root; the rootless sandbox by test_sandbox_rootless.py")
    try:
        made = get_runner(name)
        made.check()
    except (FarmError, ModuleNotFoundError) as problem:
        pytest.skip(f"runner {name}: {problem}")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def bench(runner: Runner, store: Store, base: str, tmp_path: Path) -> Bench:
    return Bench(runner, store, base, tmp_path)


@pytest.fixture
def sandbox(sandbox_runner: Runner, store: Store, base: str, tmp_path: Path) -> Bench:
    return Bench(sandbox_runner, store, base, tmp_path)
