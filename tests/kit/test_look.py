# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit clone``, ``cache`` and ``status``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from git_server import git
from kit_command import World, merge_spec
from kit_tree import Tree, ebuild

SPEC = merge_spec("dev-libs/one", "dev-libs/two", "dev-libs/missing")

AUTOGEN = """\
mine:
  generator: builtin-noop
  defaults: {category: dev-libs, vars: {versions: ['2.5', '3.0']}}
  packages:
  - two: {}
"""


@pytest.fixture
def spec(world: World) -> Path:
    """A source that is ahead in one package."""
    core, app = world.create("core-kit"), world.create("app-kit")
    tree = Tree()
    tree.add("dev-libs/one", "1.0")
    tree.commit(core, "testing")
    tree.add("dev-libs/one", "1.1")
    tree.add("dev-libs/two", "2")
    tree.files["eclass/alpha.eclass"] = b"IUSE=al\n"
    tree.commit(core, "testing")
    tree = Tree()
    tree.add("dev-libs/one", "1.0")
    tree.add("dev-libs/two", "2")
    tree.commit(app, "mark-xl")
    tree.add("dev-libs/two", "1")
    tree.commit(app, "mark-v")
    return world.spec("app.yml", SPEC)


def test_clone_and_pins(world: World, spec: Path) -> None:
    words = ("kit", "clone", "--specfile", spec, "--to", "out", "--write-summary-file", "pins.yml")
    ran = world.call(*words, "--generate-reposcan-files", "--show-summary")
    assert ran.status == 0, ran.err
    head = world.branches("core-kit")["testing"]
    assert ran.out == (
        f"sources:\n    - name: core-kit\n      url: {world.url('core-kit')}\n      branch: testing\n"
        f"      commit_sha1: {head}\n"
    )
    clone = world.folder / "out/core-kit"
    assert git(clone, "rev-parse", "HEAD") == head and git(clone, "status", "--porcelain") == ""
    assert git(clone, "remote", "get-url", "origin") == world.url("core-kit")
    scan = json.loads((world.folder / "kit-cache/core-kit-testing").read_text())
    atom = scan["atoms"]["dev-libs/one-1.1"]
    assert (scan["cache_data_version"], atom["metadata"]["KEYWORDS"], atom["kit"]) == ("1.0.6", "*", "core-kit")
    assert atom["files"][0]["name"] == "one-1.1.tar.gz" and set(atom["files"][0]["hashes"]) == {"blake2b", "sha512"}
    assert len(atom["metadata"]) == 19 and atom["metadata_out"].count("\n") == 19
    tree = Tree()
    tree.add("dev-libs/one", "1.2")
    tree.commit(world.kit("core-kit"), "testing")
    _, report = world.kit_run("merge", spec, "--summary-file", world.folder / "pins.yml")
    assert "dev-libs/one-1.1" in [d["subject"] for d in report["delivered"]]
    (world.folder / "out/core-kit/junk").write_text("x")
    assert world.call(*words).status == 0 and not (world.folder / "out/core-kit/junk").exists()
    (world.folder / "other/core-kit").mkdir(parents=True)
    (world.folder / "other/core-kit/mine").write_text("x")
    ran = world.call("kit", "clone", "--specfile", spec, "--to", "other")
    assert ran.status == 1 and "[folder-in-the-way]" in ran.err


def test_cache(world: World, tmp_path: Path) -> None:
    kit = tmp_path / "my-kit"
    (kit / "dev-libs/one").mkdir(parents=True)
    (kit / "dev-libs/one/one-1.ebuild").write_bytes(ebuild("one", eclass="alpha"))
    (kit / "dev-libs/one/one-2.ebuild").write_bytes(b"EAPI=7\ndie broken\n")
    (kit / "metadata/md5-cache/dev-libs").mkdir(parents=True)
    (kit / "metadata/md5-cache/dev-libs/one-2").write_text("EAPI=7\n")
    core = tmp_path / "core"
    (core / "eclass").mkdir(parents=True)
    (core / "eclass/alpha.eclass").write_text("IUSE=al\n")
    ran = world.call("kit", "cache", kit, "--master", core, "--json")
    assert (ran.status, ran.json()["written"], ran.json()["removed"]) == (1, 1, 1)
    text = (kit / "metadata/md5-cache/dev-libs/one-1").read_text()
    assert "IUSE=al\n" in text and text.splitlines()[-2].startswith("_eclasses_=alpha\t")
    (kit / "dev-libs/one/one-2.ebuild").unlink()
    ran = world.call("kit", "cache", kit, "--master", core)
    assert (ran.status, ran.out) == (0, "0 written, 1 kept, 0 removed, 0 scanned\n")


def test_status(world: World, spec: Path) -> None:
    world.kit_run("merge", spec, "--push", "--pr")
    words = ("--branch", "mark-v", "--pr", "--html", world.folder / "status.html")
    ran, found = world.kit_run("status", spec, *words)
    assert ran.status == 0, ran.err
    rows = {row["package"]: row for row in found["packages"]}
    assert rows["dev-libs/one"]["versions"] == {"mark-xl": "1.0"}
    assert rows["dev-libs/two"]["versions"] == {"mark-xl": "2", "mark-v": "1"}
    assert {name: row["state"] for name, row in rows.items()} == {
        "dev-libs/one": "waiting",
        "dev-libs/two": "current",
        "dev-libs/missing": "missing",
    }
    assert [pull["number"] for pull in rows["dev-libs/one"]["pulls"]] == [1]
    page = (world.folder / "status.html").read_text()
    assert ">1.1 (core-kit)<" in page and '<a href="http://forge/macaroni/app-kit/pull/1"' in page
    upstream = world.spec("autogen.yml", AUTOGEN)
    ran, found = world.kit_run("status", spec, "--autogen", upstream)
    assert ran.status == 0, ran.err
    assert {row["package"]: (row["upstream"], row["outdated"]) for row in found["packages"]} == {
        "dev-libs/one": ("", False),
        "dev-libs/two": ("3.0", True),
        "dev-libs/missing": ("", False),
    }
    ran = world.call("kit", "status", "--specfile", spec)
    assert "dev-libs/one" in ran.out and "1 behind" in ran.out
