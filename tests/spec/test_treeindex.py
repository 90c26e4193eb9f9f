# SPDX-License-Identifier: GPL-3.0-or-later
"""anise's tree index, compared with one that the Go tool wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import zstandard

from farm.spec.load import load
from farm.spec.problem import FarmError
from farm.spec.treeindex import index_tree, write_index

SAMPLE = Path(__file__).parents[1] / "data" / "tree" / "packages"


def define(folder: Path, name: str, version: str = "1.0") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "definition.yaml").write_text(f"category: app\nname: {name}\nversion: '{version}'\n")


def test_the_go_tools_bytes() -> None:
    assert index_tree(SAMPLE)[0].to_json() == (SAMPLE / ".anise-idx.json").read_text()


def test_one_index_for_each_folder(tmp_path: Path) -> None:
    define(tmp_path / "tree" / "a" / "deep", "one")
    define(tmp_path / "tree" / "b", "two")
    (tmp_path / "tree" / "empty").mkdir()
    found = {str(index.folder.relative_to(tmp_path)): index for index in index_tree(tmp_path / "tree")}
    assert {name: index.basedir for name, index in found.items()} == {
        "tree": "..",
        "tree/a": "../..",
        "tree/a/deep": "../../..",
        "tree/b": "../..",
    }
    assert found["tree/a"].document()["packages"] == {
        "app/one": [{"version": "1.0", "path": "tree/a/deep/definition.yaml"}]
    }


def test_versions_in_the_order_of_gos_walk(tmp_path: Path) -> None:
    for folder, version in (("b", "3"), ("a/z", "1"), ("a-b", "2"), ("", "4")):
        define(tmp_path / "tree" / folder, "one", version)
    packages = index_tree(tmp_path / "tree")[0].document()["packages"]
    assert [found["version"] for found in packages["app/one"]] == ["1", "2", "3", "4"]


def test_escapes_as_go_does(tmp_path: Path) -> None:
    define(tmp_path / "tree" / "a<&>ö", "one")
    text = index_tree(tmp_path / "tree")[0].to_json()
    assert "a\\u003c\\u0026\\u003eö" in text
    assert json.loads(text)["basedir"] == ".."


def test_written_in_either_form_and_no_file_of_a_spec(tmp_path: Path) -> None:
    tree = tmp_path / "packages"
    shutil.copytree(SAMPLE, tree)
    for index in index_tree(tree):
        write_index(index, compress=True)
    assert not (tree / ".anise-idx.json").exists()
    packed = (tree / ".anise-idx.json.zstd").read_bytes()
    assert zstandard.ZstdDecompressor().decompress(packed) == (SAMPLE / ".anise-idx.json").read_bytes()
    assert (tree / "app" / "greeter" / ".anise-idx.json.zstd").exists()
    paths = [{file.path for file in package.files} for package in load([tree]).packages.values()]
    assert not any(".anise-idx.json.zstd" in files for files in paths)


def test_all_that_is_wrong(tmp_path: Path) -> None:
    define(tmp_path / "good", "one")
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "definition.yaml").write_text("category: app\n")
    with pytest.raises(FarmError) as caught:
        index_tree(tmp_path)
    assert [problem.code for problem in caught.value.problems] == ["missing-key", "missing-key"]
