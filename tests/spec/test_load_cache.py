# SPDX-License-Identifier: GPL-3.0-or-later
"""The parsed-tree cache: the same tree comes out, whatever happens to the cache and to the files."""

from __future__ import annotations

import concurrent.futures
import os
import time
from pathlib import Path

import pytest

from farm.spec import folder
from farm.spec.load import load
from farm.spec.model import Tree

REFERENCE = Path(__file__).parent.parent / "data" / "tree"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree whose files are old enough to be kept."""
    for name, more in (("a", "requires: [{name: b, category: c, version: 1}]"), ("b", "x: y")):
        (tmp_path / "tree" / name).mkdir(parents=True)
        (tmp_path / "tree" / name / "definition.yaml").write_text(f"name: {name}\ncategory: c\nversion: '1'\n{more}\n")
        (tmp_path / "tree" / name / "build.yaml").write_text("env: ['A={{ .Values.v }}']\n")
    (tmp_path / "values.yaml").write_text("v: one\n")
    time.sleep(0.1)
    return tmp_path / "tree"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Folders that were read and not taken from the cache."""
    found: list[str] = []
    real = folder.Reader.read

    def spy(self: folder.Reader, one: folder.Folder) -> folder.Record:
        found.append(Path(one.path).name)
        return real(self, one)

    monkeypatch.setattr(folder.Reader, "read", spy)
    return found


def again(tree: Path) -> Tree:
    return load([tree], [tree.parent / "values.yaml"], cache=tree.parent / "cache")


def envs(tree: Tree) -> list[str]:
    return [package.build.env[0] for package in tree.packages.values() if package.build]


def test_nothing_is_read_twice(tree: Path, read: list[str]) -> None:
    cold = again(tree)
    assert read == ["a", "b"]
    warm = again(tree)
    assert read == ["a", "b"]
    assert warm == cold
    assert [f.origin for p in warm.packages.values() for f in p.files] == [
        f.origin for p in cold.packages.values() for f in p.files
    ]


def test_a_changed_folder_is_read_again(tree: Path, read: list[str]) -> None:
    again(tree)
    (tree / "a" / "new").write_text("x")
    (tree / "a" / "build.yaml").write_text("env: ['B={{ .Values.v }}']\n")
    assert envs(again(tree)) == ["B=one", "A=one"]
    assert read == ["a", "b", "a"]


def test_the_mode_of_a_file_counts(tree: Path, read: list[str]) -> None:
    again(tree)
    time.sleep(0.1)
    (tree / "b" / "build.yaml").chmod(0o755)
    assert {f.mode for p in again(tree).packages.values() for f in p.files} == {0o644, 0o755}
    assert read == ["a", "b", "b"]


def test_very_new_files_are_not_kept(tree: Path, read: list[str]) -> None:
    file = tree / "b" / "build.yaml"
    file.write_text("env: [C=1]\n")
    new_for_long = time.time() + 60
    os.utime(file, (new_for_long, new_for_long))
    again(tree)
    again(tree)
    assert read == ["a", "b", "b"]


def test_values_and_shared_templates_count(tree: Path) -> None:
    again(tree)
    (tree.parent / "values.yaml").write_text("v: two\n")
    assert envs(again(tree)) == ["A=two", "A=two"]
    (tree / "templates").mkdir()
    (tree / "templates" / "t.yaml").write_text("steps: []\n")
    assert all(p.build for p in again(tree).packages.values())
    (tree / "templates" / "t.yaml").write_text("bad: []\n")
    assert {p.code for p in again(tree).problems if p.severity == "error"} == {"unknown-key"}


def test_a_removed_folder_is_gone(tree: Path) -> None:
    again(tree)
    for file in (tree / "a").iterdir():
        file.unlink()
    assert [i.name for i in again(tree).packages] == ["b"]


@pytest.mark.parametrize("content", [b"", b"x", b"{}", b"\xff" * 100, b"[" * 100_000, None])
def test_a_corrupted_cache_is_ignored(tree: Path, content: bytes | None, read: list[str]) -> None:
    cold = again(tree)
    (file,) = (tree.parent / "cache").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"one", b"two") if content is None else content)
    assert again(tree) == cold
    assert read == ["a", "b", "a", "b"]
    assert file.read_bytes() == whole


def test_a_cache_that_others_may_write_is_ignored(tree: Path, read: list[str]) -> None:
    again(tree)
    (file,) = (tree.parent / "cache").iterdir()
    file.chmod(0o666)
    again(tree)
    assert read == ["a", "b", "a", "b"]


def test_a_cache_that_cannot_be_written_is_no_error(tree: Path) -> None:
    (tree.parent / "cache").write_text("a file")
    assert len(again(tree).packages) == 2


def test_many_processes_share_a_cache(tree: Path) -> None:
    with concurrent.futures.ProcessPoolExecutor(4) as pool:
        found = list(pool.map(again, [tree] * 12))
    assert all(one == found[0] for one in found)
    assert [file for file in (tree.parent / "cache").iterdir() if file.name.startswith(".")] == []


def test_the_reference_tree_is_the_same_from_the_cache(tmp_path: Path) -> None:
    first = load([REFERENCE / "packages"], [REFERENCE / "values" / "amd64.yaml"], cache=tmp_path)
    second = load([REFERENCE / "packages"], [REFERENCE / "values" / "amd64.yaml"], cache=tmp_path)
    assert first == second
