# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm stage list``, ``next``, ``prune``, ``index`` and what is said on bad use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


class Stages:
    """A working folder and the command line in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "stages").mkdir()
        for name in ("a", "b"):
            text = "release: {build: t, arch: x, subarch: s}\nseed: {empty: true}\noutputs: [tar]\n"
            (folder / "stages" / f"{name}.yaml").write_text(text)

    def run(self, *words: str) -> tuple[int, str, str]:
        """Exit status, output, errors."""
        command = [sys.executable, "-m", "farm", "stage", *words]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    def json(self, *words: str) -> Any:
        """The output as data."""
        return json.loads(self.run(*words, "--json")[1])

    def give_out(self, *versions: str) -> None:
        """An empty root, given out again and again."""
        for version in versions:
            words = ["--store", "store", "--always", "--version", version, "--plain"]
            assert self.run("build", "a", *words)[0] == 0


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    """Two stages of nothing."""
    return Stages(tmp_path)


def test_given_out_listed_and_pruned(stages: Stages) -> None:
    assert stages.json("next")["next"] == "a"
    stages.give_out("1", "2", "3")
    listed = stages.json("list")["releases"][0]
    assert [one["version"] for one in listed["versions"]] == ["3", "2", "1"]
    assert stages.json("next")["next"] == "b"
    assert (stages.folder / "out/stages/index.html").is_file()

    told = stages.json("prune", "--keep", "2")
    assert {one["version"]: one["keep"] for one in told["versions"]} == {"1": False, "2": True, "3": True}
    assert not told["removed"]
    folder = stages.folder / "out/stages/t/x/s"
    assert (folder / "1").is_dir()
    assert not stages.json("prune", "--keep", "2", "--yes", "--dry-run")["removed"]
    assert (folder / "1").is_dir()
    status, out, _ = stages.run("prune", "--keep", "2", "--yes")
    assert (status, (folder / "1").exists(), (folder / "2").exists()) == (0, False, True)
    assert "1 version removed" in out
    assert [one["version"] for one in stages.json("list")["releases"][0]["versions"]] == ["3", "2"]
    assert stages.run("verify", "a")[0] == 0


def test_two_stages_of_one_release(stages: Stages) -> None:
    for name in ("a", "b"):
        file = stages.folder / "stages" / f"{name}.yaml"
        file.write_text(file.read_text().replace("arch: x", "arch: x, target: same"))
    status, _, errors = stages.run("build", "a", "b", "--store", "store")
    assert status == 1
    assert "[same-release]" in errors


def test_bad_use(stages: Stages) -> None:
    assert stages.run("build")[0] == 2
    assert stages.run("build", "a", "--version", "../x", "--store", "store")[0] == 2
    assert stages.run("prune", "--keep", "0")[0] == 2
    status, _, errors = stages.run("verify", "nothing")
    assert status == 1
    assert "[unknown-stage]" in errors
    assert stages.run("verify", "a")[0] == 1
    status, out, _ = stages.run("next", "--fresh", "0")
    assert (status, out) == (0, "a\n")
