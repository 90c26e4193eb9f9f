# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that only look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from farm_command import Farm

DATA = Path(__file__).parent.parent / "data" / "tree"


def _farm(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "farm", *words], capture_output=True, text=True, check=False)


def test_help_lists_all_commands() -> None:
    done = _farm("--help")
    assert {"build", "plan", "lint", "doctor", "verify"} <= set(done.stdout.split())


@pytest.mark.parametrize("command", ["build", "plan", "explain", "graph", "lint", "config", "status", "log", "history",
                                     "shell", "doctor", "df", "gc", "verify", "schema"])  # fmt: skip
def test_every_command_has_help(command: str) -> None:
    done = _farm(command, "--help")
    assert (done.returncode, "Usage:" in done.stdout) == (0, True)


def test_schema_of_every_kind() -> None:
    kinds = _farm("schema").stdout
    assert {"definition", "build", "collection", "finalize", "farm"} <= set(kinds.split())
    for kind in kinds.split():
        done = subprocess.run(
            [sys.executable, "-m", "farm", "schema", kind], capture_output=True, text=True, check=True
        )
        assert "$schema" in json.loads(done.stdout)
    wrong = subprocess.run(
        [sys.executable, "-m", "farm", "schema", "nope"], capture_output=True, text=True, check=False
    )
    assert (wrong.returncode, "definition" in wrong.stderr) == (2, True)


def test_lint_of_the_reference_tree(farm: Farm) -> None:
    values = ["--values", str(DATA / "values" / "amd64.yaml")]
    ran = farm.run("lint", str(DATA / "packages"), "--json", *values)
    assert ran.status == 0
    assert ran.json()["packages"] == 10


def test_lint_tells_all_at_once(farm: Farm) -> None:
    farm.package("a/one", "image: box\nstepz: [x]\n")
    farm.package("a/two", "image: box\nexcludes: ['(']\n")
    farm.package("a/three", 'requires: [{category: a, name: four, version: ">=1"}]\nsteps: [x]\n')
    farm.package("a/four", 'requires: [{category: a, name: three, version: ">=1"}]\nsteps: [x]\n')
    farm.package("a/five", "image: box\nsteps: ['{{ nosuch 1 }}']\n")
    farm.package("a/six", "image: box\nsteps: ['{{ now }}']\n")
    ran = farm.run("lint", "--json")
    found = {(problem["code"], problem["severity"]) for problem in ran.json()["problems"]}
    assert ran.status == 1
    errors = ("unknown-key", "bad-regex", "cycle", "template-unknown-function")
    assert found >= {(code, "error") for code in errors} | {("impure-template", "warning")}
    assert all(problem["line"] and problem["column"] for problem in ran.json()["problems"])
    plain = farm.run("lint")
    assert plain.status == 1
    assert "did you mean" in plain.out.lower()


def test_plan_of_the_reference_tree(farm: Farm) -> None:
    words = ["--tree", str(DATA / "packages"), "--values", str(DATA / "values" / "amd64.yaml"), "--all"]
    ran = farm.run("plan", "--json", "--runner", "docker", *words)
    assert ran.status == 0
    nodes = {entry["node"]: entry for entry in ran.json()["nodes"]}
    assert nodes["app/multi-1.0"]["after"]
    assert sum(name == "lib/greet-1.0" for name in nodes) == 1


def test_plan_tells_why(farm: Farm) -> None:
    folder = farm.package("app/app", "image: box\nsteps: [a]\n")
    assert "was never made" in farm.run("plan", "app/app").out
    (folder / "build.yaml").write_text("image: nowhere\n")
    ran = farm.run("plan", "app/app")
    assert (ran.status, "unknown-image" in ran.err) == (1, True)


@pytest.mark.parametrize("form", ["dot", "json", "svg"])
@pytest.mark.parametrize("what", ["--packages", "--nodes"])
def test_graph(farm: Farm, form: str, what: str) -> None:
    farm.package("lib/tool", "image: box\nsteps: [a]\n")
    farm.package("app/app", 'requires: [{category: lib, name: tool, version: ">=1"}]\nsteps: [x]\n')
    ran = farm.run("graph", "app/app", "--format", form, what)
    assert ran.status == 0
    if form == "svg":
        texts = [element.text for element in ET.fromstring(ran.out).iter("{http://www.w3.org/2000/svg}text")]
        assert {"lib/tool-1.0", "app/app-1.0"} <= set(texts)
    elif form == "json":
        needs = {node["id"]: node["needs"] for node in ran.json()["nodes"]}
        assert "lib/tool-1.0" in needs["app/app-1.0"]
    else:
        assert '"lib/tool-1.0" -> "app/app-1.0";' in ran.out


def test_config_tells_origins(farm: Farm) -> None:
    settings = farm.run("config", "--json", "-t", str(farm.tree), FARM_RUNNER="docker").json()
    assert settings["store"] == {"value": str(farm.store), "origin": "command line"}
    assert settings["runner"] == {"value": "docker", "origin": "environment FARM_RUNNER"}
    assert settings["seeds"]["origin"].startswith(str(farm.tree / "farm.yaml"))


def test_store_commands(farm: Farm) -> None:
    assert farm.run("status").out == "nothing runs\n"
    assert set(farm.run("df", "--json").json()) >= {"blobs", "layers"}
    assert farm.run("verify").status == 0
    assert farm.run("gc", "--keep", "1G", "--json").json()["freed"] == 0
    assert farm.run("gc", "--keep", "lots").status == 1


def test_doctor(farm: Farm) -> None:
    findings = {finding["what"]: finding for finding in farm.run("doctor", "--json").json()}
    if os.geteuid() == 0:
        assert findings["runner sandbox"]["verdict"] == "ok"
    assert all(finding["mend"] or finding["verdict"] == "ok" for finding in findings.values())
