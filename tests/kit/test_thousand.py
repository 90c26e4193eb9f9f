# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge, clean and bump-release over kits of a thousand ebuilds with a history; a second run changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit_command import World, merge_spec
from kit_tree import Tree, files_of, subjects

PACKAGES, VERSIONS = 250, 4

DEFAULTS = "  atoms_defaults: {max_versions: 2}\n"
RELEASE = """\
release:
  sources:
  - {name: app-kit, url: URL(app-kit), branch: mark-xl}
  main_kit: app-kit
  target: {name: meta-repo, url: URL(meta-repo), branch: mark-xl}
"""


def name(number: int) -> str:
    """A package of the generated kit."""
    return f"dev-c{number % 7}/p{number}"


def generate(world: World, *, cached: bool) -> Path:
    """A source of a thousand ebuilds whose history has a commit for each version, a target with three of them."""
    core, app = world.create("core-kit"), world.create("app-kit")
    tree, mine = Tree(cached=cached), Tree(cached=cached)
    for version in range(VERSIONS):
        for number in range(PACKAGES):
            tree.add(name(number), f"1.{version}")
            if version < VERSIONS - 1:
                mine.add(name(number), f"1.{version}")
        tree.commit(core, "testing", f"version {version}", 1_700_000_000 + version)
    mine.commit(app, "mark-xl")
    world.create("meta-repo")
    return world.spec("app.yml", merge_spec(*map(name, range(PACKAGES)), more=DEFAULTS))


def everything(world: World, spec: Path) -> None:
    """All three commands, twice each."""
    ran, report = world.kit_run("merge", spec, "--push")
    assert ran.status == 0, ran.err
    bumps = [d["subject"] for d in report["delivered"] if d["kind"] == "bump"]
    assert bumps == sorted(f"{name(n)}-1.{VERSIONS - 1}" for n in range(PACKAGES))
    assert world.kit_run("merge", spec, "--push")[1]["changed"] is False
    ran, report = world.kit_run("clean", spec, "--push")
    assert (ran.status, len(report["delivered"])) == (0, PACKAGES), ran.err
    assert world.kit_run("clean", spec, "--push")[1]["changed"] is False
    paths = files_of(world.kit("app-kit"), "mark-xl")
    assert sum(path.endswith(".ebuild") for path in paths) == 2 * PACKAGES
    release = world.spec("release.yml", RELEASE)
    for expected in (True, False):
        ran = world.call("kit", "bump-release", "--specfile", release, "--push", "--json")
        assert ran.status == 0 and ran.json()["changed"] is expected, ran.err
    assert len(subjects(world.kit("app-kit"), "mark-xl")) == 1 + PACKAGES + 3 + PACKAGES


def test_a_thousand_ebuilds(world: World) -> None:
    everything(world, generate(world, cached=True))


@pytest.mark.slow
def test_a_thousand_ebuilds_that_portage_has_to_read(world: World) -> None:
    everything(world, generate(world, cached=False))


def test_pull_requests_of_many(world: World) -> None:
    spec = generate(world, cached=True)
    ran, _ = world.kit_run("merge", spec, "--push", "--pr")
    assert (ran.status, len(world.forge.open)) == (0, PACKAGES + 2), ran.err
    calls = len(world.forge.calls)
    assert world.kit_run("merge", spec, "--push", "--pr")[1]["changed"] is False
    assert len(world.forge.calls) - calls < 10
