# SPDX-License-Identifier: GPL-3.0-or-later
"""Autogen into a kit of a thousand ebuilds with a history, from four kinds of upstream, twice."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import yaml
from autogen_services import GitHub, Services, pypi_project
from kit_command import World
from kit_tree import Tree, files_of, read, subjects
from test_autogen_into_kit import TEMPLATE

PACKAGES, VERSIONS = 250, 4
KINDS = ("github", "dirlisting", "json", "pypi")


class Upstream:
    """A kit of a thousand ebuilds, a project for each of its packages, and the specification that knows them all.

    Of every package the kit has 1.0 to 1.3; upstream of the first ``new`` packages has 1.10, too.
    """

    def __init__(self, world: World, services: Services, new: int) -> None:
        self.world, self.services, self.new = world, services, new
        self.github = GitHub(services)
        self._kit()
        world.spec("t.tmpl", TEMPLATE)
        by_kind: dict[str, list[Any]] = {kind: [] for kind in KINDS}
        for number in range(PACKAGES):
            versions = [f"1.{minor}" for minor in range(VERSIONS)] + ["1.10"] * (number < new)
            kind = KINDS[number % len(KINDS)]
            by_kind[kind].append({f"p{number}": getattr(self, f"_{kind}")(f"p{number}", versions)})
        defaults = {"category": "dev-a", "template": "t.tmpl", "vars": {"desc": "A package"}}
        blocks = {kind: {"generator": f"builtin-{kind}", "defaults": defaults, "packages": atoms}
                  for kind, atoms in by_kind.items()}  # fmt: skip
        world.spec("spec.yml", yaml.safe_dump(blocks, sort_keys=False))
        atoms = [{"pkg": f"dev-a/p{number}"} for number in range(PACKAGES)]
        target = {"name": "app-kit", "url": "URL(app-kit)", "branch": "mark-unstable", "atoms": atoms}
        world.spec("kit.yml", yaml.safe_dump({"target": target}))

    def _kit(self) -> None:
        app, tree = self.world.create("app-kit"), Tree()
        for version in range(VERSIONS):
            for number in range(PACKAGES):
                tree.add(f"dev-a/p{number}", f"1.{version}")
            tree.commit(app, "mark-unstable", f"version {version}", 1_700_000_000 + version)

    def _github(self, name: str, versions: list[str]) -> dict[str, Any]:
        self.github.repository(f"me/{name}", [f"v{version}" for version in reversed(versions)])
        return {"github": {"user": "me", "query": "tags"}}

    def _dirlisting(self, name: str, versions: list[str]) -> dict[str, Any]:
        files = [f"{name}-{version}.tar.gz" for version in versions]
        for file in files:
            self.services.files[f"/pub/{name}/{file}"] = file.encode()
        page = "".join(f'<a href="{file}">{file}</a>' for file in files)
        self.services.files[f"/pub/{name}/"] = page.encode()
        transform = [{"kind": "regex", "match": rf"^{name}-(.*)\.tar\.gz$", "replace": "${1}"}]
        listing = {"url": f"{self.services.base}/pub/{name}/", "matcher": r"\.tar\.gz$"}
        return {"dir": listing, "transform": transform}

    def _json(self, name: str, versions: list[str]) -> dict[str, Any]:
        url = f"{self.services.base}/dl/{name}"
        self.services.json(f"/dl/{name}", {"releases": [{"v": version} for version in versions]})
        self.services.files[f"/dl/{name}-{versions[-1]}.tgz"] = name.encode()
        assets = [{"name": f"{name}-{{{{ .Values.version }}}}.tgz", "url": f"{url}-{{{{ .Values.version }}}}.tgz"}]
        return {"json": {"url": url, "version_filter": "$.releases[*].v"}, "assets": assets}

    def _pypi(self, name: str, versions: list[str]) -> dict[str, Any]:
        pypi_project(self.services, name, {version: {"requires_dist": ["six>=1"]} for version in versions})
        return {"python_compat": "python3_{11..13}"}

    def run(self, *words: str) -> dict[str, Any]:
        """Autogen of all packages, as a maintainer's nightly run calls it."""
        base = self.services.base
        ran = self.world.call(
            "kit", "autogen", "--specfile", "spec.yml", "-k", "kit.yml", "--to", "work", "--store", "store", "--json",
            "--mirror-dir", "mirror", "--push", *self.world.forge_words(), *words,
            FARM_GITHUB_API=f"{base}/api", FARM_PYPI=base,
        )  # fmt: skip
        assert ran.status == 0, ran.err + ran.out
        return dict(json.loads(ran.out))

    def check(self, *words: str) -> None:
        """Runs twice: everything new is made once, downloaded once, and nothing at all happens after that."""
        newest = {f"dev-a/p{number}" for number in range(self.new)}
        report = self.run(*words)
        statuses = {one["package"]: one["status"] for one in report["packages"]}
        assert len(statuses) == PACKAGES
        assert {package for package, status in statuses.items() if status == "generated"} == newest
        assert set(statuses.values()) <= {"generated", "present"}
        sent, state = len(self.services.sent), self.state()
        again = self.run(*words)
        if "--pr" not in words:
            assert {one["status"] for one in again["packages"]} == {"present"}
        assert [path for path in self.services.sent[sent:] if is_file(path)] == []
        assert self.state() == state
        assert self.services.strange == []

    def state(self) -> dict[str, str]:
        """Everything that a run may change: branches, pull requests, the mirror's files and their times."""
        pulls = {pull.head: f"{pull.title} {pull.state} {pull.sha}" for pull in self.world.forge.pulls}
        mirror = (self.world.folder / "mirror").iterdir()
        return {**self.world.branches("app-kit"), **pulls, **{f.name: str(f.stat().st_mtime_ns) for f in mirror}}


def is_file(path: str) -> bool:
    """Whether an address is a distfile's."""
    return path.endswith((".gz", ".tgz")) or "/tarball/" in path


@pytest.mark.parametrize("new", [24, pytest.param(PACKAGES, marks=pytest.mark.slow)])
def test_new_versions_in_a_thousand_ebuilds(world: World, services: Services, new: int) -> None:
    upstream = Upstream(world, services, new)
    upstream.check()
    kit, head = world.kit("app-kit"), world.branches("app-kit")["mark-unstable"]
    bumps = [subject for subject in subjects(kit, head) if subject.startswith("Bump")]
    assert bumps == sorted(f"Bump dev-a/p{number}-1.10" for number in range(new))
    ebuilds = [path for path in files_of(kit, head) if path.endswith(".ebuild")]
    assert len(ebuilds) == PACKAGES * VERSIONS + new
    blake, sha = hashlib.blake2b(b"p2").hexdigest(), hashlib.sha512(b"p2").hexdigest()
    assert f"DIST p2-1.10.tgz 2 BLAKE2B {blake} SHA512 {sha}\n" in read(kit, head, "dev-a/p2/Manifest")


def test_pull_requests_for_a_thousand_ebuilds(world: World, services: Services) -> None:
    upstream = Upstream(world, services, 8)
    upstream.check("--pr")
    heads = {f"merge/mark-unstable/bump-dev-a_p{number}-1_10" for number in range(8)}
    assert heads <= world.forge.open.keys()
