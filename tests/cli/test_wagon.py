# SPDX-License-Identifier: GPL-3.0-or-later
"""`farm wagon` and `farm key`, as a user calls them; and what a build writes beside its packages."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import yaml
from farm_command import Farm, Ran

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="builds in the sandbox as root")

TOOL = """
image: box
sources: [{{url: "file://{source}", sha256: "{sha256}", mirrors: ["https://example.invalid/source.txt"]}}]
steps: [mkdir -p /usr/share && cp source.txt /usr/share/tool]
"""
APP = 'requires: [{category: lib, name: tool, version: ">=1"}]\nsteps: [cp /usr/share/tool /app]\n'
SHA256 = "6667b2d1aab6a00caa5aee5af8ad9f1465e567abf1c209d15727d57b3e8f6e5f"


def call(farm: Farm, *words: str) -> Ran:
    """A command that knows no --store in its first place."""
    done = subprocess.run(
        [sys.executable, "-m", "farm", *words],
        capture_output=True,
        text=True,
        cwd=farm.tree,
        env={**os.environ, "HOME": str(farm.store.parent), "FARM_STORE": str(farm.store)},
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def built(farm: Farm, tmp_path: Path) -> Path:
    """A folder with two packages and what a build writes beside them."""
    source = tmp_path / "source.txt"
    source.write_text("data\n")
    farm.package("lib/tool", TOOL.format(source=source, sha256=SHA256), license="MIT", uri=["https://example.invalid"])
    farm.package("app/app", APP, requires=[{"category": "lib", "name": "tool", "version": ">=1"}])
    out = tmp_path / "out"
    assert farm.build("--all", "--destination", str(out))["status"] == 0
    return out


def document(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())


def test_what_a_build_writes_beside_its_packages(farm: Farm, built: Path) -> None:
    before = {path.name: path.read_bytes() for path in built.iterdir()}
    statement = document(built / "tool-lib-1.0.provenance.json")
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    [subject] = statement["subject"]
    assert subject["name"] == "tool-lib-1.0.package.tar.zst"
    definition = statement["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["package"] == "lib/tool-1.0"
    materials = {item["name"]: item for item in definition["resolvedDependencies"]}
    assert materials["source.txt"]["digest"] == {"sha256": SHA256}
    assert materials["source.txt"]["uri"] == "https://example.invalid/source.txt"
    assert set(materials) == {"source.txt", "busybox.tar"}
    below = document(built / "app-app-1.0.provenance.json")["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert {item["name"] for item in below} == {"busybox.tar", "lib/tool-1.0"}
    bom = document(built / "tool-lib-1.0.cdx.json")
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.5")
    assert bom["metadata"]["component"]["licenses"] == [{"license": {"name": "MIT"}}]
    assert {part["name"] for part in bom["components"]} == {"source.txt", "busybox.tar"}
    for name, content in before.items():
        assert str(farm.tree.parent).encode() not in content, name
        assert os.uname().nodename.encode() not in content, name
    farm.build("--all", "--destination", str(built))
    assert {path.name: path.read_bytes() for path in built.iterdir()} == before


def test_from_build_to_rollback(farm: Farm, built: Path, tmp_path: Path) -> None:
    wagon = str(tmp_path / "wagon")
    made = call(farm, "wagon", "create", "--packages", str(built), "-o", wagon, "--name", "test", "--json")
    assert made.status == 0, made.err
    assert (made.json()["revision"], made.json()["packages"]) == (1, ["app/app-1.0", "lib/tool-1.0"])
    shown = call(farm, "wagon", "show", wagon, "lib/tool", "--json").json()
    assert set(shown[0]["farm"]["beside"]) == {
        f"tool-lib-1.0.{end}" for end in ("metadata.yaml", "cdx.json", "provenance.json")
    }
    assert call(farm, "wagon", "verify", wagon).status == 0
    same = call(farm, "wagon", "bump", "--packages", str(built), "-o", wagon, "--json").json()
    assert (same["changed"], same["revision"]) == (False, 1)
    farm.package("app/app", APP, description="An application")
    bumped = call(farm, "wagon", "bump", "--packages", str(built), "-o", wagon, "--descr", "Words")
    assert "revision 2" in bumped.out
    changed = call(farm, "wagon", "diff", wagon, "--json").json()
    assert changed["redefined"] == [{"package": "app/app-1.0", "keys": ["description", "requires"]}]
    assert "~ app/app-1.0" in call(farm, "wagon", "diff", f"{wagon}@1", wagon).out
    assert call(farm, "wagon", "rollback", wagon, "--json").json() == {"revision": 3}
    assert call(farm, "wagon", "diff", f"{wagon}@1", wagon).out == "no difference\n"
    assert "no revision" in call(farm, "wagon", "prune", wagon, "--dry-run").out
    assert "3 (kept: 1, 2, 3)" in call(farm, "wagon", "show", wagon).out


def test_a_bump_keeps_the_form_of_the_wagon(farm: Farm, built: Path, tmp_path: Path) -> None:
    wagon = str(tmp_path / "wagon")
    words = ("--packages", str(built), "-o", wagon, "--json")
    form = ("--legacy", "--with-compilertree", "--tree-compression", "gzip")
    assert call(farm, "wagon", "create", "--name", "test", *form, *words).status == 0
    same = call(farm, "wagon", "bump", *words).json()
    assert (same["changed"], same["revision"]) == (False, 1)
    farm.package("app/app", APP, description="An application")

    def files() -> dict[str, str]:
        repository = yaml.safe_load(Path(wagon, "repository.yaml").read_text())
        return {key: file["compressiontype"] for key, file in repository["repo_files"].items()}

    before = files()
    assert before == {"treev2": "gzip", "tree": "gzip", "meta": "gzip", "compilertree": "zstd"}
    assert call(farm, "wagon", "bump", *words).json()["revision"] == 2
    assert files() == before
    without = ("--no-legacy", "--without-compilertree", "--tree-compression", "zstd")
    assert call(farm, "wagon", "bump", *without, *words).json()["revision"] == 3
    assert files() == {"treev2": "zstd"}
    assert call(farm, "wagon", "verify", wagon).status == 0


def test_signing(farm: Farm, built: Path, tmp_path: Path) -> None:
    wagon = str(tmp_path / "wagon")
    key = call(farm, "key", "new", "--json").json()
    assert call(farm, "key", "show", "--json").json() == [key]
    make = ("wagon", "create", "--packages", str(built), "-o", wagon, "--name", "test")
    assert "signed" in call(farm, *make, "--key", "wagon").out
    assert call(farm, "wagon", "verify", wagon, "--signed").status == 0
    assert call(farm, "wagon", "verify", wagon, "--key", key["key"]).status == 0
    assert "wagon-is-signed" in call(farm, *make, "--descr", "new").err
    stranger = Farm(farm.tree, tmp_path / "else" / "store", farm.root)
    refused = call(stranger, "wagon", "verify", wagon, "--signed")
    assert (refused.status, "untrusted-key" in refused.err) == (1, True)
    assert call(stranger, "key", "trust", key["key"], "--name", "friend").status == 0
    assert call(stranger, "wagon", "verify", wagon, "--signed").status == 0
    Path(wagon, "repository.yaml").write_bytes(Path(wagon, "repository.yaml").read_bytes() + b"# more\n")
    assert "bad-signature" in call(stranger, "wagon", "verify", wagon).err


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["wagon", "create", "--name", "x"], 2, "--output"),
        (["wagon", "create", "-o", "none", "--name", "x"], 1, "missing-packages"),
        (["wagon", "create", "-o", ".", "--name", "x", "--tree", "none"], 1, "missing-tree"),
        (["wagon", "create", "-o", ".", "--name", "x"], 1, "no-packages"),
        (["wagon", "create", "-o", ".", "--tree-filename", "t.tar.gz", "--tree-compression", "zstd"], 2, "gzip"),
        (["wagon", "verify", "none"], 2, "none"),
        (["wagon", "verify", "."], 1, "no-wagon"),
        (["wagon", "show", "."], 1, "no-wagon"),
        (["wagon", "diff", "."], 1, "no-revision"),
        (["wagon", "rollback", "."], 1, "no-wagon"),
        (["wagon", "prune", "."], 1, "no-wagon"),
        (["wagon", "creat"], 2, "create"),
        (["key", "show", "nobody"], 1, "no-key"),
        (["key", "trust", "nobody"], 1, "no-key"),
    ],
)
def test_wrong_usage_is_told_clearly(farm: Farm, words: list[str], status: int, text: str) -> None:
    ran = call(farm, *words)
    assert (ran.status, text in ran.err) == (status, True), ran.err


def test_serving(farm: Farm, built: Path) -> None:
    assert call(farm, "wagon", "create", "-o", str(built), "--name", "test").status == 0
    command = [sys.executable, "-m", "farm", "wagon", "serve", str(built), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = urllib.parse.urlsplit(process.stdout.readline().split()[-1])
        connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=10)
        connection.request("GET", "/repository.yaml")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, (built / "repository.yaml").read_bytes())
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        connection.close()
