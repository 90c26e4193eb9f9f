# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that break off and runs that are killed: the next run does what is left, and nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit_command import World, merge_spec
from kit_tree import Tree, files_of, subjects
from test_pulls import states

PACKAGES = 6


@pytest.fixture
def spec(world: World) -> Path:
    """A source with some packages, and an empty target."""
    core = world.create("core-kit")
    world.create("app-kit")
    tree = Tree()
    for number in range(PACKAGES):
        tree.add(f"dev-libs/p{number}", "1.0")
    tree.commit(core, "testing")
    return world.spec("app.yml", merge_spec(*(f"dev-libs/p{number}" for number in range(PACKAGES))))


def test_the_network_is_cut_in_the_clone(world: World, spec: Path) -> None:
    cuts = iter(["cut", None, "cut"])
    world.git.broken = lambda method, path: next(cuts, None) if method == "POST" and "core-kit" in path else None
    ran, report = world.kit_run("merge", spec, "--push")
    assert (ran.status, len(report["delivered"])) == (0, PACKAGES + 2), ran.err


def test_the_server_stays_away(world: World, spec: Path) -> None:
    world.git.broken = lambda _method, path: 503 if "core-kit" in path else None
    ran, _ = world.kit_run("merge", spec, "--push", "--keep-workdir")
    assert ran.status == 1 and "[git-transient]" in ran.err and "app.yml:2:10" in ran.err
    world.git.broken = lambda _method, _path: None
    assert world.kit_run("merge", spec, "--push", "--keep-workdir")[0].status == 0


def test_pushed_although_the_connection_broke(world: World, spec: Path) -> None:
    cuts = iter(["cut"])
    world.git.broken = lambda method, path: next(cuts, None) if method == "POST" and "receive-pack" in path else None
    ran, _ = world.kit_run("merge", spec, "--push")
    assert ran.status == 0, ran.err
    assert world.kit_run("merge", spec, "--push")[1]["changed"] is False


def killed(world: World, spec: Path, phase: Callable[[World], bool], *words: str, command: str = "merge") -> None:
    """Starts a command, and kills it with all below it as soon as the phase is reached."""
    forge = () if command == "bump-release" else world.forge_words()
    called = world.command("kit", command, "--specfile", spec, "--push", "--keep-workdir", *forge, *words)
    process = subprocess.Popen(
        called,
        cwd=world.folder,
        env=world.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    limit = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < limit and not phase(world):
        time.sleep(0.005)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


PHASES: dict[str, Callable[[World], bool]] = {
    "start": lambda world: (world.folder / "workdir").exists(),
    "clone": lambda world: any("core-kit" in request for request in world.git.requests),
    "fetched": lambda world: any("POST" in r and "core-kit" in r for r in world.git.requests),
    "push": lambda world: any("receive-pack" in request for request in world.git.requests),
    "asking": lambda world: bool(world.forge.calls),
    "pulls": lambda world: len(world.forge.pulls) >= 2,
}


@pytest.mark.parametrize("phase", PHASES)
def test_killed_and_run_again(world: World, spec: Path, phase: str) -> None:
    killed(world, spec, PHASES[phase], "--pr")
    ran, report = world.kit_run("merge", spec, "--push", "--pr", "--keep-workdir")
    assert ran.status == 0, ran.err
    heads = [pull.head for pull in world.forge.pulls]
    assert len(heads) == len(set(heads)) == PACKAGES + 2 and len(world.forge.open) == PACKAGES + 2
    assert set(states(report).values()) <= {"opened", "queued"}
    assert world.kit_run("merge", spec, "--push", "--pr", "--keep-workdir")[1]["changed"] is False


@pytest.mark.parametrize("phase", ["fetched", "push"])
def test_killed_with_direct_commits(world: World, spec: Path, phase: str) -> None:
    killed(world, spec, PHASES[phase])
    ran, _ = world.kit_run("merge", spec, "--push", "--keep-workdir")
    assert ran.status == 0, ran.err
    ebuilds = [p for p in files_of(world.kit("app-kit"), "mark-xl") if p.endswith(".ebuild")]
    assert len(ebuilds) == PACKAGES
    assert world.kit_run("merge", spec, "--push")[1]["changed"] is False


@pytest.mark.parametrize(
    "phase", [pytest.param(name, marks=() if name == "pulls" else pytest.mark.slow) for name in PHASES]
)
def test_clean_killed_and_run_again(world: World, spec: Path, phase: str) -> None:
    tree = Tree()
    for number in range(PACKAGES):
        for version in ("1.0", "1.1", "1.2"):
            tree.add(f"dev-libs/p{number}", version)
    tree.commit(world.kit("app-kit"), "mark-xl")
    spec.write_text(spec.read_text().replace("  atoms:\n", "  atoms_defaults: {max_versions: 1}\n  atoms:\n"))
    killed(world, spec, PHASES[phase], "--pr", command="clean")
    ran, report = world.kit_run("clean", spec, "--push", "--pr", "--keep-workdir")
    assert ran.status == 0, ran.err
    heads = [pull.head for pull in world.forge.pulls]
    assert sorted(heads) == [f"purge/mark-xl/dev-libs_p{number}" for number in range(PACKAGES)]
    assert set(states(report).values()) <= {"opened", "queued"}
    assert world.kit_run("clean", spec, "--push", "--pr", "--keep-workdir")[1]["changed"] is False


@pytest.mark.parametrize("phase", [pytest.param("clone", marks=pytest.mark.slow), "push"])
def test_a_release_killed_and_bumped_again(world: World, spec: Path, phase: str) -> None:
    world.create("meta-repo")
    text = "release:\n  sources: [{name: core-kit, url: URL(core-kit), branch: testing}]\n  main_kit: core-kit\n"
    release = world.spec("r.yml", f"{text}  target: {{name: meta-repo, url: URL(meta-repo), branch: xl}}\n")
    killed(world, release, PHASES[phase], command="bump-release")
    words = ("kit", "bump-release", "--specfile", release, "--push", "--json")
    assert world.call(*words, "--keep-workdir").status == 0
    assert world.call(*words).json()["changed"] is False
    assert len(subjects(world.kit("meta-repo"), "xl")) == 2


def test_two_runs_in_one_folder(world: World, spec: Path) -> None:
    import fcntl

    (world.folder / "workdir").mkdir()
    with (world.folder / "workdir/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran, _ = world.kit_run("merge", spec)
    assert ran.status == 1 and "[workspace-busy]" in ran.err
