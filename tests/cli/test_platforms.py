# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds for other platforms through the command line: plan, build, doctor, wagon, client."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import machine_programs
import pytest
import yaml
import zstandard
from farm_command import Farm, Ran

from farm.runner import binfmt
from farm.runner.program import smallest_program
from farm.spec.platform import host_platform

ARM, HOST = "linux/arm64", "linux/amd64"
pytestmark = pytest.mark.skipif(host_platform() != HOST, reason="the trees here are cross built on amd64")

CROSS = """
image: box
cross: true
package_dir: /out
steps:
- mkdir /out && uname -m >/out/made-on
- echo "$FARM_BUILD_PLATFORM $FARM_TARGET_PLATFORM $FARM_TARGET_TRIPLE" >/out/told
"""


def seed(farm: Farm, name: str, program: bytes) -> None:
    """Adds a seed to farm.yaml whose /bin/sh is ``program``."""
    content = machine_programs.root(program).getvalue()
    path = farm.tree.parent / f"{name}.tar"
    path.write_bytes(content)
    with (farm.tree / "farm.yaml").open("a") as file:
        file.write(f"  {name}: {{url: {path}, sha256: {hashlib.sha256(content).hexdigest()}}}\n")


def emulator() -> None:
    if problem := binfmt.check(ARM):
        pytest.skip(problem.message)


def unpacked(path: Path) -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read()


def files_of(built: dict[str, Any], name: str) -> bytes:
    """The content of a package's files, one after another."""
    (found,) = (package for package in built["packages"] if package["package"] == name)
    with tarfile.open(fileobj=io.BytesIO(unpacked(Path(found["file"])))) as tar:
        return b"".join(file.read() for member in tar if (file := tar.extractfile(member)))


def test_plan_shows_the_choice_and_its_reason(farm: Farm) -> None:
    seed(farm, "arm", machine_programs.shell(ARM))
    farm.package("app/cross", CROSS)
    farm.package("app/plain", "image: arm\nsteps: [work]\n")
    farm.package("app/both", "requires: [{category: app, name: plain}]\nsteps: [work]\n")
    ran = farm.run("plan", "--all", "--platform", ARM)
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    assert f"{ARM}: 1 job cross, in roots of {HOST}: the spec says `cross: true`; the toolchain runs on {HOST}" in lines
    why = f"no runner is of {ARM}, and the spec does not say `cross: true`"
    assert f"{ARM}: 2 jobs emulated, under qemu-user: {why}" in lines
    nodes = {node["node"]: node for node in farm.run("plan", "--json", "--all", "--platform", ARM).json()["nodes"]}
    assert nodes["app/cross-1.0@arm64"]["platform"] == {
        "target": ARM,
        "root": HOST,
        "how": "cross",
        "reason": f"the spec says `cross: true`; the toolchain runs on {HOST}",
    }
    assert nodes["app/plain-1.0@arm64"]["platform"]["how"] == "emulated"
    assert not any("platform" in node for node in farm.run("plan", "--json", "app/cross").json()["nodes"])


def test_a_cross_build_runs_in_a_root_of_this_host(farm: Farm) -> None:
    farm.package("app/cross", CROSS)
    built = farm.build("app/cross", "--platform", ARM)
    assert built["status"] == 0, built
    assert files_of(built, "app/cross-1.0") == b"x86_64\n" + f"{HOST} {ARM} aarch64-linux-gnu\n".encode()
    again = farm.build("app/cross", "--platform", ARM)
    assert again["counts"]["cached"] == 3
    other = farm.build("app/cross")
    assert files_of(other, "app/cross-1.0").endswith(f"{HOST} {HOST} x86_64-linux-gnu\n".encode())


def test_all_are_those_for_the_platform(farm: Farm) -> None:
    farm.package("app/cross", CROSS)
    farm.package("app/here", f"image: box\nplatforms: [{HOST}]\nsteps: [work]\n")
    ran = farm.run("plan", "--json", "--all", "--platform", ARM)
    assert ran.status == 0 and ran.json()["targets"] == ["app/cross-1.0@arm64:package"]
    asked = farm.run("plan", "--json", "app/here", "--platform", ARM)
    assert asked.status == 1 and [problem["code"] for problem in asked.json()["problems"]] == ["wrong-platform"]


def test_an_emulated_build(farm: Farm) -> None:
    emulator()
    seed(farm, "arm", machine_programs.shell(ARM))
    farm.package("app/plain", "image: arm\nsteps: [work]\n")
    built = farm.build("app/plain", "--platform", ARM)
    assert built["status"] == 0, built
    assert "i am arm64" in farm.run("log", "app/plain-1.0@arm64").out


def test_a_root_of_the_wrong_machine(farm: Farm) -> None:
    seed(farm, "arm", machine_programs.shell(ARM))
    farm.package("app/plain", "image: arm\nsteps: [work]\n")
    ran = farm.run("build", "app/plain", "--plain")
    assert ran.status == 1
    assert f"the root is of {ARM}: its /bin/sh is no program of {HOST}" in ran.out + ran.err
    assert f"build with --platform {ARM}" in ran.out + ran.err


def test_an_emulators_crash_is_no_mystery(farm: Farm) -> None:
    emulator()
    seed(farm, "arm", machine_programs.shell(ARM, "segfault"))
    farm.package("app/plain", "image: arm\nsteps: [work]\n")
    events = farm.run("build", "--json", "app/plain", "--platform", ARM).lines()
    ended = [event for event in events if event["event"] == "node-finished" and event["node"] == "app/plain-1.0@arm64"]
    assert [event["status"] for event in ended] == ["infra"]
    assert "qemu-aarch64 could not go on (exit status 139): segmentation fault" in ended[0]["failure"]["reason"]
    assert sum(event["event"] == "node-retried" for event in events) == 2


def test_a_platform_without_an_emulator_is_refused_before_anything_runs(farm: Farm) -> None:
    strange = "linux/riscv64"
    program = smallest_program(strange)
    if program is None or binfmt.check(strange) is None:
        pytest.skip("this host has an emulator for riscv64")
    seed(farm, "strange", program)
    farm.package("app/first", CROSS)
    farm.package("app/plain", "image: strange\nrequires: []\nsteps: [work]\n")
    ran = farm.run("build", "--all", "--platform", strange)
    assert ran.status == 1 and f"programs of {strange} cannot run here" in ran.err
    assert "qemu-riscv64-static with flags OCF" in ran.err
    planned = farm.run("plan", "--all", "--platform", strange)
    assert planned.status == 0 and f"warning: programs of {strange} cannot run here" in planned.err
    (problem,) = farm.run("plan", "--json", "--all", "--platform", strange).json()["problems"]
    assert problem["severity"] == "warning" and problem["code"] in ("no-binfmt", "no-binfmt-entry")
    assert farm.run("plan", "app/first", "--platform", strange).err == ""
    assert not list((farm.store / "logs").glob("*/app*"))
    assert farm.build("app/first", "--platform", strange)["status"] == 0


def test_doctor_tells_of_platforms(farm: Farm) -> None:
    asked = farm.run("doctor", "--json", "--platform", "linux/vax", "--platform", HOST)
    found = {finding["what"]: finding for finding in asked.json()}
    assert asked.status == 1 and found["platform linux/vax"]["verdict"] == "missing"
    assert found[f"platform {HOST}"]["detail"] == "native"
    usual = {finding["what"]: finding["verdict"] for finding in farm.run("doctor", "--json").json()}
    assert usual[f"platform {ARM}"] in ("ok", "optional")


def call(farm: Farm, *words: str, **env: str) -> Ran:
    """A command that knows no --store."""
    command = [sys.executable, "-m", "farm", *words]
    environ = {**os.environ, "HOME": str(farm.store.parent), "FARM_STORE": str(farm.store), **env}
    done = subprocess.run(command, cwd=farm.tree, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def wagon(farm: Farm, tmp_path: Path) -> Path:
    """A wagon for arm64."""
    farm.package("app/cross", CROSS)
    packages = tmp_path / "packages"
    assert farm.build("app/cross", "--platform", ARM, "--destination", str(packages))["status"] == 0
    made = call(farm, "wagon", "create", "--packages", str(packages), "-o", str(tmp_path / "wagon"), "--name", "mfs")
    assert made.status == 0, made.err
    return tmp_path / "wagon"


def test_a_wagon_carries_its_platform_in_name_and_tree(farm: Farm, wagon: Path) -> None:
    repository = yaml.safe_load((wagon / "repository.yaml").read_text())
    assert (repository["name"], repository["platform"]) == ("mfs-arm64", ARM)
    metadata = yaml.safe_load((wagon / "cross-app-1.0.metadata.yaml").read_text())
    assert metadata["farm"]["platform"] == ARM
    with tarfile.open(fileobj=io.BytesIO(unpacked(wagon / repository["repo_files"]["treev2"]["filename"]))) as tar:
        member = tar.extractfile("app/cross/1.0/metadata.json")
        assert member and json.load(member)["farm"]["platform"] == ARM
    again = call(farm, "wagon", "bump", "--packages", str(wagon.parent / "packages"), "-o", str(wagon))
    assert again.status == 0 and "mfs-arm64, unchanged at revision 1" in again.out
    provenance = json.loads((wagon / "cross-app-1.0.provenance.json").read_text())
    assert provenance["predicate"]["buildDefinition"]["externalParameters"]["platform"] == ARM


def test_a_wagon_is_of_one_platform(farm: Farm, wagon: Path, tmp_path: Path) -> None:
    words = ("--packages", str(wagon.parent / "packages"), "-o", str(tmp_path / "other"), "--name", "mfs")
    ran = call(farm, "wagon", "create", *words, "--platform", "linux/arm/v7")
    assert ran.status == 1 and "[foreign-package]" in ran.err
    assert "app/cross-1.0 is for linux/arm64, the wagon for linux/arm/v7" in ran.err
    assert not (tmp_path / "other" / "repository.yaml").exists()
    bad = call(farm, "wagon", "create", *words, "--platform", "arm64")
    assert bad.status == 1 and "[bad-platform]" in bad.err


def test_a_package_that_says_nothing_but_was_built_for_another(farm: Farm, wagon: Path) -> None:
    """What was built for this host tells no platform, so that other clients see what they know; its provenance does."""
    farm.package("app/here", CROSS)
    usual = wagon.parent / "usual"
    assert farm.build("app/here", "--destination", str(usual))["status"] == 0
    before = (wagon / "repository.yaml").read_bytes()
    bumped = call(farm, "wagon", "bump", "--packages", str(usual), "-o", str(wagon))
    assert bumped.status == 1 and f"app/here-1.0 is for {HOST}, the wagon for {ARM}" in bumped.err
    assert (wagon / "repository.yaml").read_bytes() == before
    for path in (wagon.parent / "packages").iterdir():
        (usual / path.name).write_bytes(path.read_bytes())
    words = ("wagon", "create", "--packages", str(usual), "-o", str(wagon.parent / "mixed"), "--name", "mfs")
    assert "[foreign-package]" in call(farm, *words).err
    said = call(farm, *words, "--platform", ARM)
    assert said.status == 0 and "mfs-arm64, revision 1, 2 packages" in said.out


def test_a_wagon_is_shown_with_its_platform(farm: Farm, wagon: Path) -> None:
    assert f"platform  {ARM}" in call(farm, "wagon", "show", str(wagon)).out.splitlines()
    assert json.loads(call(farm, "wagon", "show", "--json", str(wagon)).out)["platform"] == ARM


def test_packages_of_two_platforms_do_not_meet_in_one_folder(farm: Farm, wagon: Path) -> None:
    packages = wagon.parent / "packages"
    before = {path.name: path.read_bytes() for path in packages.iterdir()}
    for platform in ("linux/arm/v7", HOST):
        ran = farm.run("build", "app/cross", "--platform", platform, "--destination", str(packages))
        assert ran.status == 1 and "[foreign-package]" in ran.err and "cross-app-1.0 for linux/arm64" in ran.err
    assert {path.name: path.read_bytes() for path in packages.iterdir()} == before
    assert farm.build("app/cross", "--platform", ARM, "--destination", str(packages))["status"] == 0


def test_a_usual_wagon_says_nothing_of_platforms(farm: Farm, tmp_path: Path) -> None:
    farm.package("app/cross", CROSS)
    packages = tmp_path / "packages"
    assert farm.build("app/cross", "--destination", str(packages))["status"] == 0
    made = call(farm, "wagon", "create", "--packages", str(packages), "-o", str(tmp_path / "wagon"), "--name", "mfs")
    assert made.status == 0, made.err
    for name in ("repository.yaml", "cross-app-1.0.metadata.yaml"):
        assert "platform" not in (tmp_path / "wagon" / name).read_text()
    assert yaml.safe_load((tmp_path / "wagon" / "repository.yaml").read_text())["name"] == "mfs"


def test_the_client_refuses_a_foreign_package(farm: Farm, wagon: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    document = {
        "system": {"rootfs": str(root), "tmpdir_base": str(tmp_path / "tmp")},
        "repositories": [{"name": "mfs", "type": "disk", "enable": True, "urls": [str(wagon)]}],
    }
    (tmp_path / "luet.yaml").write_text(yaml.safe_dump(document))
    words = ("anise", "--config", str(tmp_path / "luet.yaml"), "install", "-y", "app/cross")
    refused = call(farm, *words)
    assert refused.status == 1 and "app/cross-1.0 is for linux/arm64, and this root is not" in refused.err + refused.out
    assert "ANISE_SYSTEM__PLATFORM" in refused.err + refused.out and not (root / "made-on").exists()
    misspelt = call(farm, *words, ANISE_SYSTEM__PLATFORM="arm64")
    assert misspelt.status == 1 and "[bad-platform]" in misspelt.err
    taken = call(farm, *words, ANISE_SYSTEM__PLATFORM=ARM)
    assert taken.status == 0, taken.err
    assert (root / "made-on").read_text() == "x86_64\n"


def test_the_client_knows_a_root_by_its_shell(farm: Farm, wagon: Path, tmp_path: Path) -> None:
    from farm.client.config import read_config

    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    assert read_config(None, {"system_target": str(root)}, {}).platform == HOST
    (root / "bin" / "sh").write_bytes(machine_programs.shell(ARM))
    assert read_config(None, {"system_target": str(root)}, {}).platform == ARM


def test_a_new_root_becomes_one_of_the_wagons_platform(farm: Farm, wagon: Path, tmp_path: Path) -> None:
    words = ("rootfs", "create", "--wagon", str(wagon), "-p", "app/cross", "--skip-finalizers")
    assert call(farm, *words, str(tmp_path / "new")).status == 0
    refused = call(farm, *words, "--platform", HOST, str(tmp_path / "other"))
    assert refused.status == 1 and "[foreign-package]" in refused.err
    assert call(farm, *words, f"oci:{tmp_path / 'layout'}").status == 0
    blobs = [path.read_bytes() for path in (tmp_path / "layout/blobs/sha256").iterdir()]
    (config,) = (json.loads(blob) for blob in blobs if blob.startswith(b"{") and b'"rootfs"' in blob)
    assert (config["os"], config["architecture"]) == ("linux", "arm64")
    misspelt = call(farm, *words, "--platform", "linux/aarch64", str(tmp_path / "other"))
    assert misspelt.status == 1 and "[bad-platform]" in misspelt.err
    assert not (tmp_path / "other").exists()
