# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups. What this host has is used for real; the files of the other version stand in a plain folder."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farm.runner import cgroup

_STORE = f"test{os.getpid()}"
_SOURCE = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    cgroup.hierarchies.cache_clear()
    yield
    cgroup.hierarchies.cache_clear()


def test_group_of_this_host() -> None:
    if not cgroup.hierarchies():
        problem = cgroup.shortfall()
        assert problem and problem.code == "no-cgroups"
        pytest.skip("no control group can be made here")
    group = cgroup.new_group(_STORE)
    try:
        group.limit(64 << 20, 50)
        join = "; ".join(f"echo 0 >{path}" for path in group.process_files)
        subprocess.run(["sh", "-c", join], check=True)
        assert group.memory_kills() == 0
        if "memory" in group.folders:
            assert 0 < (group.memory_peak() or 0) < 64 << 20
    finally:
        group.remove()
    assert not any(h.base.exists() for h in group.folders.values())
    cgroup.sweep()


def test_groups_of_the_dead_are_swept() -> None:
    if not cgroup.hierarchies():
        pytest.skip("no control group can be made here")
    base = next(iter(cgroup.hierarchies().values())).base / _STORE
    living = cgroup.new_group(_STORE)
    dead = base / "999999999-1-1"
    reused = base / f"{os.getpid()}-1-1"
    dead.mkdir()
    reused.mkdir()
    cgroup.sweep()
    assert (dead.exists(), reused.exists()) == (False, False)
    assert all(h.base.exists() for h in living.folders.values())
    living.remove()
    cgroup.sweep()
    assert not base.exists()


def test_a_group_that_another_farm_removes_meanwhile_is_no_failure(
    version_2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between being seen and being read. What the dead left elsewhere is removed all the same."""
    base = next(iter(cgroup.hierarchies().values())).base
    dead, vanished = base / "other" / "999999999-1-1", base / _STORE
    dead.mkdir(parents=True)
    vanished.mkdir()
    scandir = os.scandir

    def removed_before(path: Any = ".") -> Any:
        if Path(path) == vanished and vanished.exists():
            vanished.rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", removed_before)
    cgroup.sweep()
    assert not base.exists()
    cgroup.sweep()


def test_a_group_that_is_removed_while_it_is_made_is_made_anew(
    version_2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mkdir finds it there; when Python asks whether it is a folder it is gone."""
    base = next(iter(cgroup.hierarchies().values())).base
    left = [base]
    mkdir = os.mkdir

    def found_and_gone(path: Any, mode: int = 0o777) -> None:
        if Path(path) in left:
            left.remove(Path(path))
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        mkdir(path, mode)
        (Path(path) / "cgroup.subtree_control").write_text("memory pids\n")

    monkeypatch.setattr(os, "mkdir", found_and_gone)
    group = cgroup.new_group(_STORE)
    assert left == [] and all(h.base.is_dir() for h in group.folders.values())


_SWEEP = "from farm.runner import cgroup; cgroup.sweep()"
_HOLD = f"import os; from farm.runner import cgroup; g = cgroup.new_group({_STORE!r}); print(flush=True); os.read(0, 1)"


def _contained(code: str) -> list[str]:
    """A Python program that sees no process of this host."""
    return ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", code]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_groups_of_another_container_are_swept_when_their_farm_is_dead() -> None:
    if not cgroup.hierarchies():
        pytest.skip("no control group can be made here")
    base = next(iter(cgroup.hierarchies().values())).base / _STORE
    own = cgroup.new_group(_STORE)
    pipe = subprocess.PIPE
    with subprocess.Popen(_contained(_HOLD), cwd=_SOURCE, stdin=pipe, stdout=pipe) as farm:
        assert farm.stdout and farm.stdin
        farm.stdout.readline()
        subprocess.run(_contained(_SWEEP), cwd=_SOURCE, check=True)
        cgroup.sweep()
        assert len(list(base.glob("*-*-*"))) == 2
        assert all(h.base.exists() for h in own.folders.values())
        farm.stdin.write(b"x")
    cgroup.sweep()
    assert list(base.glob("*-*-*")) == [h.base for h in own.folders.values() if h.base.parent == base]
    own.remove()
    cgroup.sweep()
    assert not base.exists()


@pytest.fixture
def version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders as on a host with systemd and version 2: the farm is in user.slice/scope."""
    own = tmp_path / "user.slice" / "scope"
    own.mkdir(parents=True)
    for folder in (tmp_path, own.parent, own):
        (folder / "cgroup.controllers").write_text("cpu memory pids\n")
        (folder / "cgroup.subtree_control").write_text("memory pids\n")
        (folder / "cgroup.procs").write_text("1\n2\n")
    monkeypatch.setattr(cgroup, "_mounts", lambda kind: [(tmp_path, "rw")] if kind == "cgroup2" else [])
    monkeypatch.setattr(cgroup, "_own_v2", lambda: "user.slice/scope")
    return tmp_path


def test_version_2_takes_the_highest_group_it_may_write(version_2: Path) -> None:
    assert {h.base for h in cgroup.hierarchies().values()} == {version_2 / "farm"}
    assert {h.version for h in cgroup.hierarchies().values()} == {2}


def test_version_2_below_what_is_delegated(version_2: Path) -> None:
    for folder in (version_2, version_2 / "user.slice"):
        (folder / "cgroup.controllers").write_text("cpu\n")
    assert {h.base for h in cgroup.hierarchies().values()} == {version_2 / "user.slice" / "scope" / "farm"}


def test_version_2_without_controllers(version_2: Path) -> None:
    for folder in (version_2, version_2 / "user.slice", version_2 / "user.slice" / "scope"):
        (folder / "cgroup.controllers").write_text("cpu\n")
    assert cgroup.hierarchies() == {}
    problem = cgroup.shortfall()
    assert problem and (problem.code, problem.severity) == ("no-cgroups", "warning")


def test_version_2_files(tmp_path: Path) -> None:
    group = cgroup.JobGroup({name: cgroup.Hierarchy(name, 2, tmp_path) for name in cgroup.CONTROLLERS})
    (tmp_path / "memory.peak").write_text("4096\n")
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n")
    group.limit(1 << 20, 7)
    written = {name: (tmp_path / name).read_text() for name in ("memory.max", "memory.swap.max", "pids.max")}
    assert written == {"memory.max": "1048576", "memory.swap.max": "0", "pids.max": "7"}
    assert (group.memory_peak(), group.memory_kills()) == (4096, 2)
    assert group.process_files == (str(tmp_path / "cgroup.procs"),)
