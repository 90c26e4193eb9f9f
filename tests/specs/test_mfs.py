# SPDX-License-Identifier: GPL-3.0-or-later
"""The specs of MFS: they load for every platform, and the plan is the bootstrap that docs/mfs.md describes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

SPECS = Path(__file__).parents[2] / "specs" / "mfs"
PLATFORMS = {"amd64": "linux/amd64", "arm64": "linux/arm64", "armv7": "linux/arm/v7"}
CROSSED = ["arm64", "armv7"]
LIBRARIES = ["musl", "glibc"]
GENERATION = ["musl", "linux-headers", "binutils", "gcc"]


def farm(*words: str, store: Path | None = None, limit: float = 120) -> Any:
    """What a command prints with ``--json``."""
    home = {"FARM_STORE": str(store)} if store else {}
    command = [sys.executable, "-m", "farm", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **home}, timeout=limit)
    assert done.returncode == 0, done.stderr + done.stdout[-2000:]
    return json.loads(done.stdout)


def values(*names: str) -> list[str]:
    """Options that take value files of the tree."""
    return [word for name in names for word in ("--values", str(SPECS / "values" / f"{name}.yaml"))]


@cache
def planned(targets: str, machine: str, *names: str, own: bool = True) -> list[dict[str, Any]]:
    """The nodes of a plan. ``own``: what is made is for that machine, not a tool for this host."""
    words = ["--platform", PLATFORMS[machine]] if own else []
    with tempfile.TemporaryDirectory() as store:
        plan = farm("plan", "--tree", str(SPECS), *values(machine, *names), *words, *targets.split(), store=Path(store))
    nodes: list[dict[str, Any]] = plan["nodes"]
    return nodes


def graph(targets: str, machine: str, *names: str, own: bool = True) -> dict[str, set[str]]:
    """What the job of each package waits for (or its packing, when it has none), by category and name."""
    needs: dict[str, set[str]] = {}
    for node in planned(targets, machine, *names, own=own):
        package = bare(node["node"])
        needs.setdefault(package, set()).update(bare(need) for need in node["after"])
        needs[package].discard(package)
    return needs


def bare(package: str) -> str:
    """The package of a node, without its version and platform."""
    package = package.partition("@")[0]
    if package.startswith(("source:", "seed:")):
        return package.rpartition("+")[0] or package
    name, dash, version = package.partition(":")[0].rpartition("-")
    return name if dash and version[:1].isdigit() else package


def categories(packages: Iterable[str]) -> set[str]:
    """Categories of packages, and what else is waited for: ``seed`` and ``source``."""
    return {re.split("[/:]", name)[0] for name in packages}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_no_problem_on_any_platform(platform: str, library: str, tmp_path: Path) -> None:
    assert farm("lint", str(SPECS), *values(platform, library), store=tmp_path)["problems"] == []


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_stage_can_be_planned(platform: str, library: str) -> None:
    needs = graph("mfs/stage3", platform, library)
    assert f"stage2/{library}" in needs["mfs/stage3"]
    other = {"musl": "glibc", "glibc": "musl"}[library]
    assert not [name for name in needs if name.endswith((f"/{other}", f"/{other}-headers"))]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_cross_toolchain_and_first_programs_need_no_other_machine(platform: str) -> None:
    needs = graph("cross/gcc cross/binutils cross/busybox cross/make cross/bash", platform)
    assert categories(needs) == {"cross", "stage1", "source", "seed"}


@pytest.mark.parametrize("platform", CROSSED)
def test_a_system_for_another_machine_is_cross_built_whole(platform: str) -> None:
    needs = graph("mfs/stage3", platform)
    nodes = planned("mfs/stage3", platform)
    ways = {bare(node["node"]): node["platform"] for node in nodes if node.get("platform")}
    for name in needs:
        if name.startswith(("stage2/", "stage3/", "cross/", "check/")):
            assert ways[name]["how"] == "cross", name
    assert {"stage2/bash", "cross/gcc", "cross/binutils", "stage2/musl", "check/seedless-stage3"} <= needs["mfs/stage3"]
    assert not {"gen1", "gen2", "rebuilt"} & categories(needs)
    # bash is linked with our ncurses, not with the seed's.
    assert "stage2/ncurses" in needs["stage2/bash"]


@pytest.mark.parametrize("platform", CROSSED)
def test_a_stage_for_another_machine_is_cross_built(platform: str, tmp_path: Path) -> None:
    """Its seed is this host's, and there is one; no other root is made."""
    stages = SPECS.parents[1] / "stages"
    shown = farm("stage", "show", f"mfs-{platform}-stage3", "--stages", str(stages), store=tmp_path)
    nodes = [node["node"] for node in shown["nodes"]]
    assert [name for name in nodes if name.startswith("seed:")] == ["seed:host+9"]
    assert any(name.startswith("stage2/bash-") and "@arm" in name for name in nodes)


@pytest.mark.parametrize("platform", CROSSED)
def test_a_cross_toolchain_is_a_tool_of_this_host(platform: str) -> None:
    needs = graph("mfs/stage1", platform, own=False)
    assert categories(needs) == {"mfs", "stage1", "source", "seed"}


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mfs/stage3", values("arm64")),
        ("mfs/stage3", ["--platform", "linux/arm64"]),
        ("stage2/bash", [*values("arm64"), "--platform", "linux/arm/v7"]),
    ],
)
def test_values_and_platform_have_to_agree(target: str, words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "farm", "plan", "--tree", str(SPECS), "--store", str(tmp_path), *words, target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "[wrong-platform]" in done.stderr, done.stderr + done.stdout[-2000:]


def test_later_value_files_win() -> None:
    assert "stage1/musl" in graph("stage1/gcc-libs", "amd64", "glibc", "musl")


def test_generations_stand_on_nothing_but_the_one_before() -> None:
    needs = graph("mfs/stage3", "amd64", "musl")
    for name in GENERATION:
        assert categories(needs[f"gen2/{name}"]) <= {"gen1", "cross", "source", "mfs"}
        assert needs[f"gen2/{name}"] >= {f"gen1/{part}" for part in GENERATION}
        assert categories(needs[f"gen1/{name}"]) <= {"gen1", "stage1", "cross", "source", "mfs"}


def test_no_job_after_stage1_is_made_in_the_seed() -> None:
    needs = graph("mfs/stage3", "amd64", "musl")
    in_seed = {name for name, direct in needs.items() if "seed" in categories(direct)}
    assert categories(in_seed) == {"mfs", "source", "stage1", "cross"}
    assert [name for name in in_seed if name.startswith("mfs/")] == ["mfs/filesystem"]
    for name in needs:
        if name.startswith(("stage2/", "stage3/")):
            assert not {"stage1", "gen1", "seed"} & categories(needs[name]), name


def test_stages_hold_no_temporary_tool() -> None:
    needs = graph("mfs/stage3", "amd64", "musl")
    for stage in ["check/seedless-stage3", "mfs/stage3"]:
        assert categories(needs[stage]) <= {"mfs", "gen2", "stage2", "stage3", "check"}


def test_stages_wait_for_their_checks() -> None:
    assert {"check/generations", "check/seedless-stage3", "check/selfhost"} <= graph("mfs/stage3", "amd64", "musl")[
        "mfs/stage3"
    ]
    assert {"check/generations", "check/seedless-stage2"} <= graph("mfs/stage2", "amd64", "musl")["mfs/stage2"]
    compared = graph("mfs/stage3", "amd64", "musl")["check/generations"]
    assert {f"gen{number}/{name}" for number in (1, 2) for name in GENERATION if name != "musl"} <= compared
    assert {"gen2/musl", "gen3/musl"} <= compared


def test_every_source_can_be_had_from_the_distribution() -> None:
    """No digest is there under two names, and each file can be had without a route to upstream."""
    sources = [name for name in graph("mfs/stage3", "amd64", "musl") if name.startswith("source:")]
    digests = [name.rpartition(":")[2] for name in sources]
    assert len(digests) == len(set(digests)) > 20
    for path in SPECS.glob("*/build.yaml"):
        text = path.read_text()
        assert text.count("- url: ") <= text.count("apt:pool/"), path


def test_the_generations_are_configured_alike() -> None:
    """But for where they are built, the two generations' recipes have the same text: or their bytes could differ."""
    for name in ["gcc", "binutils"]:
        text = (SPECS / name / "build.yaml").read_text()
        assert "gen1" not in text and "gen2" not in text


@pytest.mark.slow
def test_the_whole_bootstrap(tmp_path: Path) -> None:
    """Builds everything from an empty store: about two hours on two cores."""
    summary = farm(
        "build", "--tree", str(SPECS), "mfs/stage1", "mfs/stage2", "mfs/stage3", store=tmp_path, limit=6 * 3600
    )
    assert not summary["failed"]
