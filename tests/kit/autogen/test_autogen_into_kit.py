# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit autogen`` into a kit on a real git server: commits, pull requests, mirrors, and second runs that rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from autogen_services import GitHub, Services, sha
from git_server import git
from kit_command import World
from kit_tree import Tree, files_of, read, subjects

TEMPLATE = """\
EAPI=7

DESCRIPTION="{{ .Values.desc }}"
HOMEPAGE="https://example.org"
SRC_URI="{{ .Values.src_uri }}"
LICENSE="MIT"
SLOT="{{ .Values.slot | default 0 }}"
KEYWORDS="*"
"""


class Bench:
    """The world of a kit with services, a specification and a kit file."""

    def __init__(self, world: World, services: Services) -> None:
        self.world, self.services = world, services
        self.github = GitHub(services)
        self.mirror = world.folder / "mirror"
        self.write("templates/t.tmpl", TEMPLATE)
        (world.folder / "dev-util/one/files").mkdir(parents=True)
        (world.folder / "dev-util/one/files/one.patch").write_text("patch\n")

    def write(self, name: str, text: str) -> Path:
        return self.world.spec(name, text)

    def kitfile(self, *packages: str | dict[str, Any]) -> None:
        atoms = [{"pkg": package} if isinstance(package, str) else package for package in packages]
        target = {"name": "app-kit", "url": "URL(app-kit)", "branch": "mark-unstable", "atoms": atoms}
        self.write("kit.yml", yaml.safe_dump({"target": target}))

    def spec(self, **packages: dict[str, Any]) -> None:
        defaults = {"category": "dev-util", "template": "templates/t.tmpl", "github": {"user": "me", "query": "tags"}}
        atoms = [{name: atom} for name, atom in packages.items()]
        self.write(
            "spec.yml",
            yaml.safe_dump({"one": {"generator": "builtin-github", "defaults": defaults, "packages": atoms}}),
        )

    def words(self, *words: object) -> list[object]:
        """The command, without the environment that it needs."""
        common = ["--specfile", "spec.yml", "-k", "kit.yml", "--to", "work", "--store", "store", "--json",
                  "--mirror-dir", self.mirror]  # fmt: skip
        return ["kit", "autogen", *common, *self.world.forge_words(), *words]

    @property
    def env(self) -> dict[str, str]:
        """Where the services are, and the time."""
        return {"FARM_GITHUB_API": f"{self.services.base}/api", "SOURCE_DATE_EPOCH": "1700000000"}

    def run(self, *words: object, status: int = 0) -> dict[str, Any]:
        ran = self.world.run(*self.words(*words), **self.env)
        assert ran.status == status, ran.err + ran.out
        return json.loads(ran.out) if ran.out.startswith("{") else {"err": ran.err}

    def statuses(self, report: dict[str, Any]) -> dict[str, str]:
        return {package["package"]: package["status"] for package in report["packages"]}


@pytest.fixture
def bench(world: World, services: Services) -> Bench:
    bench = Bench(world, services)
    kit = world.create("app-kit")
    tree = Tree()
    tree.add("dev-util/one", "1.0")
    tree.add("dev-util/two", "3.0")
    tree.files["profiles/repo_name"] = b"app-kit\n"
    tree.commit(kit, "mark-unstable")
    for name, tags in {"one": ["v1.2", "v1.10"], "two": ["v2.9", "v3.0"], "three": ["0.1"]}.items():
        bench.github.repository(f"me/{name}", tags, description=f"The {name}")
    bench.kitfile("dev-util/one", "dev-util/two", "dev-util/three")
    bench.spec(one={}, two={}, three={})
    return bench


def test_commits_on_the_branch(bench: Bench) -> None:
    report = bench.run("--push")
    assert bench.statuses(report) == {
        "dev-util/one": "generated",
        "dev-util/two": "present",
        "dev-util/three": "generated",
    }
    kit, head = bench.world.kit("app-kit"), bench.world.branches("app-kit")["mark-unstable"]
    bumps = [subject for subject in subjects(kit, head) if subject.startswith("Bump")]
    assert sorted(bumps) == ["Bump dev-util/one-1.10", "Bump dev-util/three-0.1"]
    files = files_of(kit, head)
    assert {"dev-util/one/one-1.0.ebuild", "dev-util/one/one-1.10.ebuild", "dev-util/one/files/one.patch",
            "dev-util/three/three-0.1.ebuild", "dev-util/three/Manifest"} <= set(files)  # fmt: skip
    tarball = f"one-1.10-{sha('v1.10')[:7]}.tar.gz"
    names = [line.split()[1] for line in read(kit, head, "dev-util/one/Manifest").splitlines() if line]
    assert names == ["one-1.0.tar.gz", tarball]
    mirrored = sorted(path.name for path in bench.mirror.iterdir())
    assert mirrored == ["layout.conf", tarball, f"three-0.1-{sha('0.1')[:7]}.tar.gz"]

    asked = len(bench.services.asked)
    again = bench.run("--push")
    assert set(bench.statuses(again).values()) == {"present"}
    assert bench.world.branches("app-kit")["mark-unstable"] == head
    downloads = [path for path in bench.services.paths("/api/repos")[asked:] if "tarball" in path]
    assert downloads == []


def test_pull_requests_and_one_that_is_superseded(bench: Bench) -> None:
    bench.run("--push", "--pr")
    branches = bench.world.branches("app-kit")
    assert "merge/mark-unstable/bump-dev-util_one-1_10" in branches
    assert {pull.title for pull in bench.world.forge.pulls} >= {
        "mark-devkit: [mark-unstable] Bump dev-util/one-1.10",
        "mark-devkit: [mark-unstable] Bump dev-util/three-0.1",
    }
    again = bench.run("--push", "--pr")
    states = {d["subject"]: d["state"] for d in again["merge"]["delivered"]}
    assert states["dev-util/one-1.10"] == "queued"
    bench.github.repository("me/one", ["v1.11"])
    later = bench.run("--push", "--pr")
    states = {d["subject"]: d["state"] for d in later["merge"]["delivered"]}
    assert states["dev-util/one-1.11"] == "opened"
    assert len(later["merge"]["closed"]) == 1
    assert "merge/mark-unstable/bump-dev-util_one-1_10" not in bench.world.branches("app-kit")


def test_a_pull_request_that_was_merged_is_forgotten(bench: Bench) -> None:
    bench.run("--push", "--pr")
    kit, branches = bench.world.kit("app-kit"), bench.world.branches("app-kit")
    git(kit, "update-ref", "refs/heads/mark-unstable", branches["merge/mark-unstable/bump-dev-util_one-1_10"])
    report = bench.run("--push", "--pr")
    assert bench.statuses(report)["dev-util/one"] == "present"
    assert len(report["merge"]["closed"]) == 1
    assert "merge/mark-unstable/bump-dev-util_one-1_10" not in bench.world.branches("app-kit")


def test_a_failure_stops_only_its_own_package(bench: Bench) -> None:
    bench.services.files["/api/repos/me/one/tarball/refs/tags/v1.10"] = lambda request: request.status(404)
    report = bench.run("--push", status=1)
    assert bench.statuses(report)["dev-util/one"] == "failed"
    files = files_of(bench.world.kit("app-kit"), bench.world.branches("app-kit")["mark-unstable"])
    assert "dev-util/three/three-0.1.ebuild" in files and "dev-util/one/one-1.10.ebuild" not in files


def test_stop_on_error(bench: Bench) -> None:
    bench.services.files["/api/repos/me/one/tags"] = lambda request: request.status(404)
    report = bench.run("--stop-on-error", "--concurrency", "1", status=1)
    assert bench.statuses(report) == {"dev-util/one": "failed", "dev-util/two": "skipped", "dev-util/three": "skipped"}


def test_an_ebuild_that_portage_cannot_read(bench: Bench) -> None:
    bench.write("templates/bad.tmpl", TEMPLATE + "exit 3\n")
    bench.spec(one={"template": "templates/bad.tmpl"}, three={})
    report = bench.run("--push", status=1)
    assert bench.statuses(report) == {"dev-util/one": "failed", "dev-util/three": "generated"}
    assert report["packages"][0]["problems"][0]["code"] == "bad-ebuild"


def test_dry_run_shows_the_difference_and_changes_nothing(bench: Bench) -> None:
    before = bench.world.branches("app-kit")
    report = bench.run("--push", "--dry-run")
    assert "+++ b/dev-util/one/one-1.10.ebuild" in report["merge"]["diff"]
    assert bench.world.branches("app-kit") == before
    assert not bench.mirror.exists()


def test_what_the_kit_file_does_not_list_is_not_merged(bench: Bench) -> None:
    bench.kitfile("dev-util/one", {"pkg": "dev-util/three", "conditions": ["<dev-util/three-0.1"]})
    report = bench.run("--push")
    codes = [problem["code"] for problem in report["problems"]]
    assert codes == ["not-listed"]
    files = files_of(bench.world.kit("app-kit"), bench.world.branches("app-kit")["mark-unstable"])
    assert "dev-util/three/three-0.1.ebuild" not in files


def test_an_older_line_beside_a_newer_one(bench: Bench) -> None:
    bench.github.repository("me/two", ["v2.10", "v3.0", "v2.9"])
    bench.spec(two={"selector": ["<3"]})
    report = bench.run("--push")
    assert bench.statuses(report) == {"dev-util/two": "generated"}
    files = files_of(bench.world.kit("app-kit"), bench.world.branches("app-kit")["mark-unstable"])
    assert {"dev-util/two/two-2.10.ebuild", "dev-util/two/two-3.0.ebuild"} <= set(files)


def test_a_changed_template_with_force_is_a_new_revision(bench: Bench) -> None:
    bench.run("--push")
    bench.write("templates/t.tmpl", TEMPLATE.replace("MIT", "BSD"))
    assert bench.statuses(bench.run("--push"))["dev-util/one"] == "present"
    bench.run("--push", "--force-merge-check")
    files = files_of(bench.world.kit("app-kit"), bench.world.branches("app-kit")["mark-unstable"])
    assert "dev-util/one/one-1.10-r1.ebuild" in files and "dev-util/one/one-1.10.ebuild" not in files
    head = bench.world.branches("app-kit")
    bench.run("--push", "--force-merge-check")
    assert bench.world.branches("app-kit") == head


KILLED: dict[str, Callable[[Bench], bool]] = {
    "asking": lambda bench: any("/tags" in path for path in bench.services.paths()),
    "download": lambda bench: any("/tarball/" in path for path in bench.services.paths()),
    "mirror": lambda bench: bench.mirror.is_dir() and any(bench.mirror.iterdir()),
    "push": lambda bench: any("receive-pack" in request for request in bench.world.git.requests),
    "pulls": lambda bench: bool(bench.world.forge.pulls),
}


@pytest.mark.parametrize(
    "phase", [pytest.param(name, marks=() if name == "push" else pytest.mark.slow) for name in KILLED]
)
def test_killed_and_run_again(bench: Bench, phase: str) -> None:
    command = bench.world.command(*bench.words("--push", "--pr"))
    with subprocess.Popen(
        command, cwd=bench.world.folder, env=bench.world.environment(**bench.env), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        while process.poll() is None and not KILLED[phase](bench):
            time.sleep(0.005)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    report = bench.run("--push", "--pr")
    assert bench.statuses(report)["dev-util/one"] == "generated"
    heads = [pull.head for pull in bench.world.forge.pulls]
    assert len(heads) == len(set(heads)) == len(bench.world.forge.open)
    assert {"merge/mark-unstable/bump-dev-util_one-1_10", "merge/mark-unstable/bump-dev-util_three-0_1"} <= set(heads)
    state = bench.world.branches("app-kit")
    bench.run("--push", "--pr")
    assert bench.world.branches("app-kit") == state and len(bench.world.forge.pulls) == len(heads)
    for path in bench.mirror.iterdir():
        os.utime(path, (1e9, 1e9))
    bench.run("--push", "--pr")
    names = {path.name for path in bench.mirror.iterdir()}
    assert names == {"layout.conf", f"one-1.10-{sha('v1.10')[:7]}.tar.gz", f"three-0.1-{sha('0.1')[:7]}.tar.gz"}


def test_a_new_branch(bench: Bench) -> None:
    kit = bench.world.kit("app-kit")
    git(kit, "update-ref", "-d", "refs/heads/mark-unstable")
    report = bench.run("--push")
    assert set(bench.statuses(report).values()) == {"generated"}
    files = files_of(kit, bench.world.branches("app-kit")["mark-unstable"])
    assert {"README.md", "dev-util/two/two-3.0.ebuild"} <= set(files)
