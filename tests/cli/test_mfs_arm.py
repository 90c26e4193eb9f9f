# SPDX-License-Identifier: GPL-3.0-or-later
"""specs/mfs-arm: planned; built for both machines, run under emulation (ci), and built again elsewhere (slow)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from farm_command import Farm

from farm.runner import binfmt
from farm.spec.platform import host_platform

SPECS = Path(__file__).parents[2] / "specs" / "mfs-arm"
PLATFORMS = ("linux/arm64", "linux/arm/v7")
TARGETS = ("mfs/rootfs", "check/rootfs")

pytestmark = pytest.mark.skipif(host_platform() != "linux/amd64", reason="its cross compilers are amd64's")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_all_but_the_check_is_cross_built(farm: Farm, platform: str) -> None:
    ran = farm.run("plan", "--json", "--tree", str(SPECS), *TARGETS, "--platform", platform)
    assert ran.status == 0, ran.err
    ways = {node["node"].partition("@")[0]: node["platform"] for node in ran.json()["nodes"] if "platform" in node}
    cross = {name for name, way in ways.items() if (way["how"], way["root"]) == ("cross", "linux/amd64")}
    assert {name.rpartition("-")[0] for name in cross} == {
        "mfs/filesystem",
        "mfs/linux-headers",
        "mfs/musl",
        "mfs/busybox",
        "mfs/make",
    }
    assert [name for name, way in ways.items() if way["how"] == "emulated"] == ["check/rootfs-1"]
    headers = [node["node"] for node in ran.json()["nodes"] if node["node"].startswith("source:linux-libc-dev")]
    assert len(headers) == 1 and {"linux/arm64": "arm64", "linux/arm/v7": "armhf"}[platform] in headers[0]


def test_it_is_for_boards_only(farm: Farm) -> None:
    ran = farm.run("plan", "--tree", str(SPECS), "mfs/rootfs", "--platform", "linux/amd64")
    assert ran.status == 1 and "it is for linux/arm64, linux/arm/v7" in ran.err
    assert "0 errors, 0 warnings" in farm.run("lint", str(SPECS)).out


@pytest.mark.ci
def test_it_is_built_and_runs(farm: Farm) -> None:
    """Both machines with one store: their cross compilers are in the same seed."""
    for platform in PLATFORMS:
        if problem := binfmt.check(platform):
            pytest.skip(problem.message)
        built = farm.build("--tree", str(SPECS), *TARGETS, "--platform", platform, limit=3600)
        assert built["status"] == 0, built
        assert {package["package"].partition("-")[0] for package in built["packages"]} == set(TARGETS)


@pytest.mark.slow
@pytest.mark.parametrize("platform", PLATFORMS)
def test_it_is_built_runs_and_is_the_same_elsewhere(farm: Farm, tmp_path: Path, platform: str) -> None:
    if problem := binfmt.check(platform):
        pytest.skip(problem.message)
    first = farm.build("--tree", str(SPECS), *TARGETS, "--platform", platform, limit=3600)
    assert first["status"] == 0, first
    elsewhere = tmp_path / "a" / "longer" / "path"
    shutil.copytree(SPECS, elsewhere)
    other = Farm(farm.tree, tmp_path / "another-store", farm.root)
    second = other.build("--tree", str(elsewhere), *TARGETS, "--platform", platform, limit=3600)
    digests = [{package["package"]: package["sha256"] for package in built["packages"]} for built in (first, second)]
    assert digests[0] == digests[1] and len(digests[0]) == 2
