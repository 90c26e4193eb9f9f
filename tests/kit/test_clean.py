# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit clean``: what goes, what stays, what goes with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_server import git
from kit_command import World
from kit_tree import Tree, digests, files_of, read

SPEC = """\
sources: []
target:
  name: app-kit
  url: URL(app-kit)
  branch: mark-xl
  atoms_defaults: {max_versions: 2}
  atoms:
  - pkg: dev-libs/one
  - {pkg: dev-libs/two, max_versions: 1, versions: ['0.8']}
  - {pkg: 'dev-libs/slots:1', max_versions: 1}
  - {pkg: dev-libs/three, max_versions: 0, conditions: ['<dev-libs/three-2']}
"""


@pytest.fixture
def spec(world: World) -> Path:
    """A kit with too much."""
    kit = world.create("app-kit")
    tree = Tree()
    for version in ("1.10", "1.9", "1.9-r2", "1.9-r10", "1.10_rc1", "9999"):
        tree.add("dev-libs/one", version, keywords="" if version == "9999" else "*")
    for version in ("0.7", "0.8", "0.9", "1.0"):
        tree.add("dev-libs/two", version)
    for version, slot in (("1.0", "1"), ("1.1", "1"), ("2.0", "2"), ("2.1", "2")):
        tree.add("dev-libs/slots", version, slot=slot)
    for version in ("1.0", "1.1", "2.0"):
        tree.add("dev-libs/three", version)
    tree.commit(kit, "mark-xl")
    return world.spec("app.yml", SPEC)


def ebuilds(world: World, package: str) -> list[str]:
    """Versions of a package in the branch."""
    name = package.split("/")[1]
    paths = files_of(world.kit("app-kit"), "mark-xl")
    return [p.split(f"{name}/{name}-")[1][:-7] for p in paths if p.startswith(f"{package}/") and p.endswith(".ebuild")]


def test_what_goes(world: World, spec: Path) -> None:
    ran, report = world.kit_run("clean", spec, "--push")
    assert ran.status == 0, ran.err
    assert sorted(ebuilds(world, "dev-libs/one")) == ["1.10", "1.10_rc1", "9999"]
    assert ebuilds(world, "dev-libs/two") == ["0.8", "1.0"]
    assert ebuilds(world, "dev-libs/slots") == ["1.1", "2.0", "2.1"]
    assert ebuilds(world, "dev-libs/three") == ["1.1", "2.0"]
    kit = world.kit("app-kit")
    assert [d["subject"] for d in report["delivered"]] == [f"dev-libs/{n}" for n in ("one", "slots", "three", "two")]
    message = git(kit, "cat-file", "commit", "mark-xl~3").split("\n\n", 1)[1]
    assert message == (
        "dev-libs/one: Remove old versions\n\n  * Removed v1.9\n  * Removed v1.9-r2\n  * Removed v1.9-r10"
    )
    lines = [digests(f"one-{v}.tar.gz") for v in ("1.10", "1.10_rc1", "9999")]
    assert read(kit, "mark-xl", "dev-libs/one/Manifest") == "".join(f"{line}\n" for line in lines)
    assert world.kit_run("clean", spec, "--push")[1]["changed"] is False


def test_one_package_only(world: World, spec: Path) -> None:
    world.kit_run("clean", spec, "--push", "--pkg", "dev-libs/two")
    assert len(ebuilds(world, "dev-libs/one")) == 6 and len(ebuilds(world, "dev-libs/two")) == 2
    ran, _ = world.kit_run("clean", spec, "--pkg", "dev-libs/nothing")
    assert ran.status == 1 and "[unknown-package]" in ran.err


def test_masked_versions_on_request(world: World, spec: Path) -> None:
    tree = Tree()
    tree.files["profiles/package.mask/bad"] = b"# broken\n=dev-libs/one-1.10\n~dev-libs/one-1.9\n"
    tree.commit(world.kit("app-kit"), "mark-xl")
    world.kit_run("clean", spec, "--push", "--skip-masked")
    assert sorted(ebuilds(world, "dev-libs/one")) == ["1.10", "1.10_rc1", "1.9", "1.9-r10", "1.9-r2", "9999"]


def test_files_go_with_the_only_version_that_names_them(world: World, spec: Path) -> None:
    tree = Tree(cached=False)
    tree.add("dev-libs/one", "1.0", more='PATCHES=( "${FILESDIR}/${P}-gcc.patch" "${FILESDIR}/both.patch" )\n')
    tree.add("dev-libs/one", "1.10", more='PATCHES=( "${FILESDIR}/both.patch" )\n')
    for name in ("one-1.0-gcc.patch", "both.patch", "one.initd"):
        tree.files[f"dev-libs/one/files/{name}"] = b"x\n"
    tree.lines.clear()
    tree.files.pop("dev-libs/one/Manifest")
    tree.commit(world.kit("app-kit"), "mark-xl")
    ran, _ = world.kit_run("clean", spec, "--push")
    assert ran.status == 0, ran.err
    left = [p for p in files_of(world.kit("app-kit"), "mark-xl") if p.startswith("dev-libs/one/files/")]
    assert left == ["dev-libs/one/files/both.patch", "dev-libs/one/files/one.initd"]


def test_a_kit_with_an_unreadable_ebuild(world: World, spec: Path) -> None:
    tree = Tree(cached=False)
    tree.files["dev-libs/two/two-0.6.ebuild"] = b"EAPI=7\ndie broken\n"
    tree.commit(world.kit("app-kit"), "mark-xl")
    ran, report = world.kit_run("clean", spec, "--push")
    assert ran.status == 0 and [p["code"] for p in report["problems"]] == ["bad-ebuild"]
    assert len(ebuilds(world, "dev-libs/two")) == 5 and len(ebuilds(world, "dev-libs/one")) == 3
