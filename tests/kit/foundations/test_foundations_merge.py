# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit merge --foundations`` on a real git server: kits out of generated overlays, again and again."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from git_server import git
from kit_command import Ran, World
from kit_tree import Tree, files_of, read, subjects

FOUNDATIONS = """\
kit-url: BASE/{kit}.git
overlays:
  - flora: {url: "URL(flora)", filter: [gentoo], force: [dev-libs/forced], eclasses: [waf],
            copyfiles: {licenses/EULA: licenses/EULA}}
  - gentoo: {url: "URL(gentoo)"}
source-defs:
  - current: [{repo: flora}, {repo: gentoo}]
  - frozen: [{repo: gentoo, src_sha1: COMMIT}]
python-settings:
  - r1: [{'3.7': {primary: python3_7, mask: '>=dev-lang/python-3.8'}}]
kit-groups:
  defaults: {source: current, branch: r1}
  releases:
    - r1:
        - app-kit
        - lib-kit: {branch: new}
        - lib-kit: {branch: old, source: frozen, stability: deprecated}
        - python-kit: {branch: '3.7'}
        - nokit
        - gnome-kit: {kind: independent}
"""
SETS = {
    "app-kit": "app-misc/*\n",
    "lib-kit": "dev-libs/* -dev-libs/none\ndev-util/old -> dev-util/new\n",
    "python-kit": "@has_eclass@:python\n",
}
KITS = ("app-kit", "lib-kit", "python-kit", "nokit")


@pytest.fixture
def foundations(world: World) -> Path:
    """Two overlays, one of them with a past, and empty kits."""
    flora, gentoo = world.create("flora"), world.create("gentoo")
    for name in KITS:
        if name != "app-kit":
            world.create(name)
    world.create("app-kit")
    tree = Tree()
    tree.files |= {"profiles/repo_name": b"gentoo\n", "eclass/python.eclass": b"IUSE=python\n"}
    tree.add("dev-libs/both", "1.0")
    commit = tree.commit(gentoo, "master")
    tree.add("dev-libs/both", "2.0")
    tree.add("dev-libs/forced", "1.0")
    tree.add("dev-util/old", "3")
    tree.add("dev-lang/python", "3.7", eclass="python")
    tree.add("sys-apps/left", "1")
    tree.files["dev-util/old/files/a.patch"] = b"patch\n"
    tree.commit(gentoo, "master")
    tree.files |= {"profiles/repo_name": b"flora\n", "eclass/waf.eclass": b"# waf\n", "licenses/EULA": b"no\n",
                   "metadata/layout.conf": b"masters = gentoo\n"}  # fmt: skip
    tree.lines = {}
    tree.add("dev-libs/both", "9.0")
    tree.add("dev-libs/forced", "9.0")
    tree.add("app-misc/top", "1.0")
    tree.commit(flora, "master")
    for name, text in SETS.items():
        world.spec(f"package-sets/global/{name}-packages", text)
    fix = world.folder / "app-kit/curated"
    (fix / "app-misc/fixed").mkdir(parents=True)
    (fix / "app-misc/fixed/fixed-1.ebuild").write_bytes(b'EAPI=7\nSLOT=0\nKEYWORDS="*"\n')
    (fix / "profiles/package.mask").mkdir(parents=True)
    (fix / "profiles/package.mask/app").write_text("app-misc/none\n")
    (fix / "profiles/link").symlink_to("/etc/passwd")
    base = world.url("app-kit").rpartition("/")[0]
    return world.spec("foundations.yaml", FOUNDATIONS.replace("BASE", base).replace("COMMIT", commit))


def merge(world: World, foundations: Path, *words: str) -> tuple[Ran, dict[str, Any]]:
    """A run, and what it says of each branch of a kit."""
    ran = world.run("kit", "merge", "--foundations", foundations, "--push", "--json", *words)
    assert ran.out, ran.err
    return ran, {f"{kit['kit']}:{kit['branch']}": kit for kit in ran.json()["kits"]}


def test_a_release_is_made_and_made_again(world: World, foundations: Path) -> None:
    ran, made = merge(world, foundations)
    assert ran.status == 0, ran.err
    assert {name: {p: t["overlay"] for p, t in kit["packages"].items()} for name, kit in made.items()} == {
        "app-kit:r1": {"app-misc/fixed": None, "app-misc/top": "flora"},
        "lib-kit:new": {"dev-libs/both": "gentoo", "dev-libs/forced": "flora", "dev-util/new": "gentoo"},
        "lib-kit:old": {"dev-libs/both": "gentoo"},
        "python-kit:3.7": {"dev-lang/python": "gentoo"},
        "nokit:r1": {"sys-apps/left": "gentoo"},
    }
    lib, new = world.kit("lib-kit"), world.branches("lib-kit")
    assert [p for p in files_of(lib, new["new"]) if p.endswith(".ebuild")] == [
        "dev-libs/both/both-1.0.ebuild", "dev-libs/both/both-2.0.ebuild", "dev-libs/forced/forced-9.0.ebuild",
        "dev-util/new/new-3.ebuild",
    ]  # fmt: skip
    assert [p for p in files_of(lib, new["old"]) if p.endswith(".ebuild")] == ["dev-libs/both/both-1.0.ebuild"]
    assert {"dev-util/new/files/a.patch", "eclass/waf.eclass", "licenses/EULA"} <= set(files_of(lib, new["new"]))
    assert read(lib, new["new"], "profiles/categories") == "dev-libs\ndev-util\n"
    assert "masters = core-kit\n" in read(lib, new["new"], "metadata/layout.conf")
    app = world.branches("app-kit")["r1"]
    assert "profiles/link" not in files_of(world.kit("app-kit"), app)
    assert read(world.kit("app-kit"), app, "profiles/package.mask/app") == "app-misc/none\n"
    python = world.branches("python-kit")["3.7"]
    assert read(world.kit("python-kit"), python, "profiles/package.mask/python-kit") == ">=dev-lang/python-3.8\n"
    heads = {name: world.branches(name) for name in KITS}
    ran, made = merge(world, foundations)
    assert ran.status == 0 and not any(kit["changed"] for kit in made.values())
    assert {name: world.branches(name) for name in KITS} == heads


def test_pull_requests(world: World, foundations: Path) -> None:
    merge(world, foundations, "--kit", "app-kit")
    overlay, tree = world.kit("flora"), Tree()
    tree.add("app-misc/top", "2.0")
    tree.commit(overlay, "master")
    words = ("--kit", "app-kit", "--pr", *world.forge_words())
    ran, made = merge(world, foundations, *words)
    assert ran.status == 0, ran.err
    [pull] = world.forge.pulls
    assert (pull.state, pull.base) == ("open", "r1") and "app-misc/top" in pull.title
    assert [d["state"] for d in made["app-kit:r1"]["delivered"]] == ["opened"]
    ran, made = merge(world, foundations, *words)
    assert ran.status == 0 and [d["state"] for d in made["app-kit:r1"]["delivered"]] == ["queued"], ran.err
    tree.add("app-misc/top", "3.0")
    tree.commit(overlay, "master")
    ran, made = merge(world, foundations, *words)
    assert [d["state"] for d in made["app-kit:r1"]["delivered"]] == ["updated"], ran.err
    [pull] = world.forge.pulls
    world.forge.merge(pull.head)
    ran, made = merge(world, foundations, *words)
    assert ran.status == 0 and not made["app-kit:r1"]["changed"]
    head = world.branches("app-kit")["r1"]
    assert "app-misc/top/top-3.0.ebuild" in files_of(world.kit("app-kit"), head)


def test_what_moves_between_kits(world: World, foundations: Path) -> None:
    merge(world, foundations)
    world.spec("package-sets/r1/app-kit-packages", "app-misc/top\ndev-libs/forced\n")
    ran, made = merge(world, foundations, "--kit", "lib-kit")
    assert ran.status == 0 and set(made) == {"lib-kit:new", "lib-kit:old"}
    lib, head = world.kit("lib-kit"), world.branches("lib-kit")["new"]
    assert subjects(lib, head)[-1] == "Remove dev-libs/forced"
    assert "dev-libs/forced/forced-9.0.ebuild" not in files_of(lib, head)
    assert git(lib, "log", "-1", "--format=%an", head) == "MARK Devkit Bot"


def test_a_dry_run_changes_nothing(world: World, foundations: Path) -> None:
    ran = world.run("kit", "merge", "--foundations", foundations, "--dry-run", "--kit", "app-kit")
    assert ran.status == 0, ran.err
    assert "+++ b/app-misc/top/top-1.0.ebuild" in ran.out and "app-kit r1: 2 packages" in ran.out
    assert world.branches("app-kit") == {}


def test_what_cannot_be_done(world: World, foundations: Path) -> None:
    for words, code in (
        (["--release", "none"], "unknown-release"),
        (["--kit", "gnome-kit"], "unknown-kit"),
        (["--package-sets", str(world.folder / "app-kit")], "no-package-set"),
        (["--kit-url", "https://example.invalid/x"], "missing-url"),
    ):
        ran = world.run("kit", "merge", "--foundations", foundations, *words)
        assert (ran.status, f"[{code}]" in ran.err) == (1, True), ran.err
    assert world.run("kit", "merge").status == 2
    assert world.run("kit", "merge", "--foundations", foundations, "--specfile", foundations).status == 2


def test_a_kit_that_cannot_be_reached_stops_no_other(world: World, foundations: Path) -> None:
    shutil.rmtree(world.kit("lib-kit"))
    ran, made = merge(world, foundations)
    assert ran.status == 1
    assert made["lib-kit:new"]["failed"] and made["lib-kit:old"]["failed"] and not made["app-kit:r1"]["failed"]
    assert set(world.branches("nokit")) == {"r1"}


@pytest.mark.parametrize("seconds", [1.5, 4.0])
def test_a_killed_run_is_made_good(world: World, foundations: Path, seconds: float) -> None:
    command = world.command("kit", "merge", "--foundations", foundations, "--push", "--json")
    with subprocess.Popen(
        command, cwd=world.folder, env=world.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        time.sleep(seconds)
        process.kill()
    ran, made = merge(world, foundations)
    assert ran.status == 0, ran.err
    assert not any(kit["changed"] for kit in merge(world, foundations)[1].values())
    for name in KITS:
        for head in world.branches(name).values():
            titles = subjects(world.kit(name), head)
            assert len(titles) == len(set(titles)), titles
    assert len(made) == 5


def test_foundations_are_shown(world: World, foundations: Path) -> None:
    shown = world.run("kit", "foundations", foundations, "--json").json()
    assert shown["kit_order"] == ["app-kit", "lib-kit", "python-kit", "gnome-kit"]
    assert shown["release_defs"]["lib-kit"] == ["new"]
    assert shown["python_settings"]["3.7"]["mask"] == ">=dev-lang/python-3.8"
    ran = world.run("kit", "foundations", foundations)
    assert ran.status == 0 and "lib-kit     old     auto  deprecated  frozen" in ran.out
