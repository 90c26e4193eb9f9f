# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm anise-build tree``: indexes, lists, checks, and what is told of a package without building it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from anise_build_command import AniseBuild

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root; the rootless farm has its own test")

SAMPLE = Path(__file__).parents[1] / "data" / "tree"
TREE = ("-t", "packages")


@pytest.fixture
def sample(tmp_path: Path) -> AniseBuild:
    """The sample tree in a working directory."""
    shutil.copytree(SAMPLE, tmp_path / "work")
    (tmp_path / "work" / "farm.yaml").write_text(
        "seeds: {one: {docker: nothing}}\nimages: {'refluet/gcc:1': one, 'debian:bookworm-min': one}\n"
    )
    return AniseBuild(tmp_path / "work")


def test_genidx(sample: AniseBuild) -> None:
    index = sample.folder / "packages" / ".anise-idx.json"
    wanted = index.read_bytes()
    index.unlink()
    dry = sample("tree", "genidx", *TREE, "--dry-run", "-o", "json")
    assert (dry.status, dry.out.encode(), index.exists()) == (0, wanted + b"\n", False)
    assert (
        sample("tree", "genidx", "--only-upper-level", "--compress=false", f"--tree={sample.folder}/packages").status
        == 0
    )
    assert index.read_bytes() == wanted
    assert not (sample.folder / "packages" / "app" / ".anise-idx.json").exists()
    assert sample("tree", "genidx", *TREE).status == 0
    assert (sample.folder / "packages" / "app" / ".anise-idx.json.zstd").exists()
    assert sample("tree", "genidx", "-t", "nowhere").status == 1


def test_pkglist(sample: AniseBuild) -> None:
    assert sample("tree", "pkglist", *TREE, "-v", "-m", "editor|greet", "-e", "app/greeter").out.splitlines() == [
        "app/editor-a-1.0",
        "app/editor-b-1.0",
        "lib/greet-1.0",
    ]
    assert len(sample("tree", "pkglist", *TREE).out.splitlines()) == 10
    rows = sample("tree", "pkglist", *TREE, "-o", "json", "-m", "meta/").json()
    assert rows["packages"]["meta/full"] == [{"version": "1.0", "path": "packages/meta/collection.yaml"}]
    assert yaml.safe_load(sample("tree", "pkglist", *TREE, "-oyaml", "-m", "meta/").out) == rows
    assert sample("tree", "pkglist", *TREE, "-m", "(").status == 1


def test_validate(anise: AniseBuild) -> None:
    good = anise("tree", "validate", *TREE, "-s")
    assert (good.status, good.out.splitlines()[-1]) == (0, "All good!")
    assert "[  runtime] Checking package test/c-1.0 with 0 dependencies and 0 conflicts." in good.out
    assert "[buildtime] Checking package test/c-1.0 with 1 dependencies and 0 conflicts." in good.out
    missing = "requires: [{category: test, name: missing, version: '>=1'}]\n"
    anise.package("test/bad", "image: alpine\n", more=missing)
    bad = anise("tree", "validate", *TREE)
    assert bad.status == 1
    assert "[  runtime] test/bad-1.0: Broken Dep test/missing->=1 - No packages" in bad.out
    assert "Found 1 broken packages and 1 broken deps." in bad.out
    for flags in (["--only-buildtime"], ["-e", "test/bad"], ["-m", "test/[abc]-"]):
        assert anise("tree", "validate", *TREE, *flags).status == 0
    assert anise("tree", "validate", *TREE, "--only-buildtime", "--only-runtime").status == 1


def test_validate_finds_what_cannot_be_built(anise: AniseBuild) -> None:
    anise.package("test/twice", "image: alpine\nstepz: []\n")
    ran = anise("tree", "validate", *TREE, "--only-buildtime")
    assert (ran.status, "test/twice-1.0: " in ran.out) == (1, True)
    assert anise("tree", "validate", *TREE, "--only-runtime").status == 0
    shutil.rmtree(anise.folder / "packages" / "test" / "twice-1.0")
    for name, other in (("x", "y"), ("y", "x")):
        anise.package(f"test/{name}", f"requires: [{{category: test, name: {other}, version: '>=0'}}]\nsteps: [ls]\n")
    assert anise("tree", "validate", *TREE, "-s").status == 1


def test_render_shows_what_is_built(anise: AniseBuild) -> None:
    (anise.folder / "v.yaml").write_text("word: from-values\n")
    (anise.folder / "packages" / "test" / "c-1.0" / "definition.yaml").write_text(
        "category: test\nname: c\nversion: '1.0'\nword: from-definition\n"
    )
    shown = anise("tree", "render", *TREE, "--values", "v.yaml", "-o", "json", "test/c").json()
    assert shown["steps"] == ["echo from-values >/c"]
    assert shown["requires"] == [{"category": "test", "name": "b", "version": ">=1.0"}]
    plain = anise("tree", "render", *TREE, "test/c@1.0", LUET_VALUES="v.yaml")
    assert "Processing package test/c-1.0..." in plain.out
    assert yaml.safe_load(plain.out.partition("\n")[2]) == shown
    anise.package("test/c", "image: alpine\n", "2.0")
    assert anise("tree", "render", *TREE, "test/c").out.count("Processing package") == 2
    assert anise("tree", "render", *TREE, "test/nope").status == 1
    assert anise("tree", "render", *TREE).status == 1


def test_images(sample: AniseBuild) -> None:
    def chain(*words: str, **env: str) -> dict[str, str]:
        ran = sample("tree", "images", *TREE, *words, **env)
        assert ran.status == 0, ran.err
        return dict(line.split(": ") for line in ran.out.splitlines())

    values = ("--values", "values/amd64.yaml")
    multi = chain(*values, "--image-repository", "my/cache", "app/multi")
    assert list(multi) == ["seed/debian-12", "app/editor-a-1.0", "lib/greet-1.0", "app/multi-1.0"]
    assert all(image.startswith("my/cache:") for image in multi.values())
    greet = chain(*values, "--image-repository", "my/cache", "lib/greet")
    assert greet["lib/greet-1.0"] == multi["lib/greet-1.0"]
    assert chain("--image-repository", "my/cache", "lib/greet", LUET_VALUES="values/amd64.yaml") == greet
    assert chain("lib/greet")["lib/greet-1.0"] != greet["lib/greet-1.0"].replace("my/cache", "luet/cache")
    rows = sample("tree", "images", *TREE, *values, "lib/greet", "-o", "json").json()["packages"]
    assert [row["name"] for row in rows] == ["debian", "greet"]


def test_digests_of_images_do_not_depend_on_the_place(sample: AniseBuild, tmp_path: Path) -> None:
    other = AniseBuild(tmp_path / "elsewhere" / "work")
    shutil.copytree(sample.folder, other.folder)
    here, there = (one("tree", "images", *TREE, "app/bundle").out for one in (sample, other))
    assert here == there


def test_bump(anise: AniseBuild) -> None:
    file = anise.folder / "packages" / "test" / "c-1.0" / "definition.yaml"
    file.write_text(f"# mine\n{file.read_text()}")
    file.chmod(0o640)
    before = file.read_text()
    shown = anise("tree", "bump", "-o", "-f", str(file))
    assert (shown.out, file.read_text()) == (before.replace("1.0", "1.0+1"), before)
    ran = anise("tree", "bump", "-f", str(file))
    assert (ran.status, ran.out) == (0, "Bumped package test/c-1.0+1.\n")
    assert file.read_text() == before.replace("1.0", "1.0+1")
    assert file.stat().st_mode & 0o777 == 0o640
    assert anise("tree", "bump", "--definition-file", str(file), "--pkg-version", "3").status == 0
    assert "version: '3'" in file.read_text()
    assert anise("tree", "bump").status == 1


def test_output_is_only_data(sample: AniseBuild) -> None:
    assert json.loads(sample("tree", "genidx", *TREE, "--dry-run", "-o", "json").out)["basedir"] == ".."
    assert yaml.safe_load(sample("tree", "genidx", *TREE, "--dry-run", "-o", "yaml").out)["basedir"] == ".."
