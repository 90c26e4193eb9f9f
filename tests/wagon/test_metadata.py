# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata of packages, ours and the Go tool's, and the YAML it is written in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from workshop import digest, metadata_json, tarball

from farm.spec.model import Build, Package, PackageId, Requirement
from farm.spec.problem import FarmError
from farm.wagon.contents import metadata_of
from farm.wagon.metadata import Metadata, metadata_from, read_metadata
from farm.wagon.plainyaml import dump
from farm.wagon.quickyaml import read_quickly, read_whole

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
PATH = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12).filter(
    lambda text: text not in (".", "..")
)


@given(st.dictionaries(TEXT, VALUE, max_size=5))
def test_yaml_is_read_back_as_it_was(data: dict[str, Any]) -> None:
    assert yaml.load(dump(data), yaml.CSafeLoader) == data


@given(st.lists(PATH, max_size=6), st.dictionaries(PATH, st.just("a" * 64), max_size=4))
def test_metadata_is_read_back_as_it_was(files: list[str], digests: dict[str, str]) -> None:
    farm = {"size": 3, "digests": digests} if digests else {"size": 3}
    runtime = {"name": "a", "category": "b", "version": "1"}
    metadata = Metadata("a-b-1.package.tar.zst", {"sha256": "0" * 64}, "zstd", tuple(files), runtime, farm=farm)
    assert read_metadata(metadata.to_yaml()) == metadata
    assert read_metadata(metadata.to_json()) == metadata


def test_the_quick_reader_reads_what_the_whole_one_does(samples: Path) -> None:
    files = sorted((samples / "go").glob("*.metadata.yaml"))
    assert files
    for path in files:
        content = path.read_bytes()
        whole = read_whole(content.decode(), "x")
        assert read_quickly(content, "x") == whole
        brief = read_quickly(content, "x", brief=True)
        del whole["compilespec"]
        who = {key: whole["runtime"][key] for key in ("name", "version", "category")}
        assert brief == {**whole, "runtime": who}


@pytest.mark.parametrize(
    "text",
    [
        "files:\n- a\n- 'b c'\n- \"d\"\n- e: f\npath: x\n",
        "files: [a, b]\npath: x\n",
        "files:\n  - a\n  - 1\n  - yes\npath: x\n",
        "files:\n- a # comment\n- b\npath: x\n",
        "files:\n- |\n  several\n  lines\npath: x\n",
        "# a comment\nfiles:\n- a\npath: x\n",
        "x: &a [1]\nfiles: *a\n",
        "---\nfiles:\n- a\n",
        '{"files": ["a"], "path": "x"}\n',
        "files:\n- a\nfarm:\n  digests:\n    a: b\n",
        f"farm:\n  size: 1\n  digests:\n    'a b': {'a' * 64}\n    c: \"{'0' * 64}\"\n",
    ],
)
def test_unusual_forms_are_read_as_yaml(text: str) -> None:
    assert read_quickly(text.encode(), "x") == read_whole(text, "x")


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ({"path": "../.."}, "path"),
        ({"path": ""}, "path"),
        ({"path": 3}, "path"),
        ({"checksums": {"sha256": "0" * 63}}, "checksums"),
        ({"checksums": {"sha256": "A" * 64}}, "checksums"),
        ({"checksums": []}, "checksums"),
        ({"compressiontype": "rar"}, "compressiontype"),
        ({"files": "a"}, "files"),
        ({"files": ["a", 1]}, "files"),
        ({"files": ["/etc/passwd"]}, "files"),
        ({"files": ["a/../../b"]}, "files"),
        ({"runtime": {"name": "a"}}, "version"),
        ({"runtime": {"name": "a", "category": "../x", "version": "1"}}, "category"),
        ({"runtime": {"name": "..", "category": "x", "version": "1"}}, "name"),
        ({"runtime": {"name": "a", "category": "b", "version": "1", "requires": [1]}}, "requires"),
        ({"runtime": {"name": "a", "category": "b", "version": "1", "provides": {"a": 1}}}, "provides"),
        ({"farm": 3}, "farm"),
    ],
)
def test_bad_metadata_is_refused(keys: dict[str, Any], part: str) -> None:
    with pytest.raises(FarmError) as caught:
        read_metadata(metadata_json(**keys))
    assert caught.value.code == "bad-metadata"
    assert part in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff\xfe\xff", b"a: [", b"path: x", b"[" * 5000 + b"]" * 5000])
def test_what_is_no_metadata_is_refused(content: bytes) -> None:
    with pytest.raises(FarmError):
        read_metadata(content)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(FarmError) as caught:
        metadata_from({"path": 1, "files": 2, "checksums": 3}, "x")
    assert len(caught.value.problems) >= 6


def test_absolute_paths_of_the_go_tool_become_names(samples: Path) -> None:
    metadata = read_metadata(samples / "go" / "greet-lib-1.0.metadata.yaml")
    assert metadata.path == "greet-lib-1.0.package.tar.zst"
    assert metadata.id == PackageId("lib", "greet", "1.0")
    assert metadata.files[0] == "usr/include/greet.h"
    assert metadata.compilespec["steps"][0].startswith("gcc ")


def test_metadata_of_a_built_package(tmp_path: Path) -> None:
    path = tmp_path / "blob"
    path.write_bytes(tarball({"usr/bin/a": "text", "etc/a.conf": ""}))
    package = Package(
        PackageId("app", "a", "1.0"),
        requires=(Requirement("lib", "b"), Requirement("lib", "c", ">=2")),
        build=Build(prelude=("true",), steps=("make",), package_dir="/out"),
        labels={"kit": "core"},
        folder="/home/somebody/tree",
    )
    metadata = metadata_of(package, path, digest(path.read_bytes()), name="a-app-1.0.package.tar.zst", key="k")
    assert metadata.files == ("usr/bin/a", "etc/a.conf")
    assert metadata.farm == {
        "size": path.stat().st_size,
        "installed_size": 4,
        "key": "k",
        "digests": {"usr/bin/a": digest(b"text"), "etc/a.conf": digest(b"")},
    }
    assert metadata.runtime["requires"][0] == {"name": "b", "version": ">=0", "category": "lib"}
    assert metadata.compilespec["steps"] == ["make"]
    assert metadata.compilespec["package"] == metadata.runtime
    assert b"somebody" not in metadata.to_yaml() + metadata.to_json()
    assert read_metadata(metadata.to_yaml()) == metadata
    assert json.loads(metadata.to_json()) == yaml.safe_load(metadata.to_yaml())
