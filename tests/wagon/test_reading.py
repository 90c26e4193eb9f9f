# SPDX-License-Identifier: GPL-3.0-or-later
"""Wagons are read, whoever made them, and hostile ones are refused."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from workshop import Workshop, entry_files, metadata_json, parse, repository_yaml, tree_file

from farm.spec.model import PackageId
from farm.spec.problem import FarmError
from farm.wagon.reading import Wagon, open_wagon
from farm.wagon.repository import read_repository
from farm.wagon.revisions import WagonFolder


@pytest.mark.parametrize("name", ["go", "minimal"])
def test_sample_wagons(samples: Path, name: str) -> None:
    wagon = open_wagon(samples / name)
    assert len(wagon.packages) == 10
    editor = wagon.packages[PackageId("app", "editor-a", "1.0")]
    assert editor.definition["labels"] == {"cmd": "ed-a"}
    assert editor.finalizer is not None
    assert editor.finalizer["shell"] == ["/bin/sh", "-c"]
    assert "finalize install editor-a 1.0" in editor.finalizer["install"][0]
    assert wagon.packages[PackageId("lib", "greet", "1.0")].finalizer is None
    assert [str(id) for id in wagon.provides["virtual/editor"]] == ["app/editor-a-1.0", "app/editor-b-1.0"]


def test_the_old_layout_says_the_same(workshop: Workshop) -> None:
    repository = workshop.create(legacy=True).repository
    new = workshop.wagon()
    files = {key: file for key, file in repository.repo_files.items() if key != "treev2"}
    old = dataclasses.replace(repository, repo_files=files)
    wagon = Wagon.parse(old.to_yaml(), WagonFolder(workshop.output).open_file)
    assert wagon.provides == new.provides
    assert wagon.packages.keys() == new.packages.keys()
    for id, entry in wagon.packages.items():
        assert entry.definition == new.packages[id].definition
        assert entry.finalizer == new.packages[id].finalizer
        assert (entry.metadata.path, entry.metadata.files) == (
            new.packages[id].metadata.path,
            new.packages[id].metadata.files,
        )


def test_an_old_index_in_block_form() -> None:
    index = b"index:\n  - " + b"\n    ".join(
        [
            b"path: /host/greet-lib-1.0.package.tar.gz",
            b"checksums: {sha256: %s}" % (b"0" * 64),
            b"files:",
            b"- usr/a",
            b"- usr/b",
            b"compilespec:",
            b"  package: {name: greet, category: lib, version: '1.0'}",
        ]
    )
    meta = tree_file({"repository.meta.yaml": index})
    tree = tree_file({"any/where/definition.yaml": b"name: greet\ncategory: lib\nversion: '1.0'\n"})
    files = {"tree.tar.zst": tree, "meta.tar.zst": meta}
    data = json.loads(repository_yaml(tree))
    data["repo_files"] = {
        "tree": data["repo_files"]["treev2"],
        "meta": json.loads(repository_yaml(meta))["repo_files"]["treev2"],
    }
    data["repo_files"]["meta"]["filename"] = "meta.tar.zst"
    wagon = Wagon.parse(json.dumps(data).encode(), lambda name: io.BytesIO(files[name]))
    metadata = wagon.packages[PackageId("lib", "greet", "1.0")].metadata
    assert (metadata.path, metadata.compression) == ("greet-lib-1.0.package.tar.gz", "gzip")
    assert metadata.files == ("usr/a", "usr/b")


def refused(work: Callable[[], object]) -> str:
    with pytest.raises(FarmError) as caught:
        work()
    return caught.value.code


def test_no_wagon(tmp_path: Path) -> None:
    assert refused(lambda: open_wagon(tmp_path)) == "no-wagon"


def test_a_tree_with_other_bytes() -> None:
    tree = tree_file(entry_files())
    for other in (tree[:-1], tree + b"\0", b"", bytes([tree[0] ^ 1]) + tree[1:]):
        code = refused(lambda other=other: Wagon.parse(repository_yaml(tree), lambda name: io.BytesIO(other)))  # type: ignore[misc]
        assert code == "wagon-digest-mismatch"


def test_a_tree_that_is_not_there(samples: Path, tmp_path: Path) -> None:
    content = (samples / "go" / "repository.yaml").read_bytes()
    (tmp_path / "repository.yaml").write_bytes(content)
    assert refused(lambda: open_wagon(tmp_path)) == "wagon-file-missing"


@pytest.mark.parametrize("content", [b"", b"no archive", zstandard.compress(b"no archive" * 100), b"\x1f\x8bbad"])
def test_a_tree_that_is_no_archive(content: bytes) -> None:
    assert refused(lambda: Wagon.parse(repository_yaml(content), lambda name: io.BytesIO(content))) == "bad-archive"


def test_a_truncated_tree_with_the_right_digest() -> None:
    tree = tree_file(entry_files())[:-20]
    assert refused(lambda: Wagon.parse(repository_yaml(tree), lambda name: io.BytesIO(tree))) == "bad-archive"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a/\udcff"])
def test_names_that_leave_the_tree(name: str) -> None:
    assert refused(lambda: parse({name: b"x"})) == "bad-wagon"


def test_a_bomb_of_one_file() -> None:
    out = io.BytesIO()
    entry = tarfile.TarInfo("lib/greet/1.0/metadata.json")
    entry.size = 3 << 30
    out.write(entry.tobuf())
    packer = zstandard.ZstdCompressor().compressobj()
    tree = packer.compress(out.getvalue())
    tree += b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    assert refused(lambda: Wagon.parse(repository_yaml(tree), lambda name: io.BytesIO(tree))) == "wagon-too-large"


def test_a_bomb_of_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("farm.wagon.reading.MAX_TOTAL", 1 << 20)
    monkeypatch.setattr("farm.wagon.reading.MAX_ENTRIES", 1000)
    tree = tree_file({f"a/b/{number}/x": bytes(1 << 16) for number in range(64)})
    assert refused(lambda: Wagon.parse(repository_yaml(tree), lambda name: io.BytesIO(tree))) == "wagon-too-large"


def test_metadata_in_another_packages_folder() -> None:
    files = entry_files()
    files["lib/other/1.0/definition.yaml"] = files.pop("lib/greet/1.0/definition.yaml")
    files["lib/other/1.0/metadata.json"] = files.pop("lib/greet/1.0/metadata.json")
    assert refused(lambda: parse(files)) == "bad-wagon"


def test_a_definition_of_another_package() -> None:
    files = {**entry_files(), "lib/greet/1.0/definition.yaml": b"{name: evil, category: lib, version: '1.0'}"}
    entry = parse(files).packages[PackageId("lib", "greet", "1.0")]
    assert refused(lambda: entry.definition) == "bad-wagon"


def test_a_folder_without_definition_is_ignored() -> None:
    assert parse({"lib/greet/1.0/metadata.json": metadata_json(), "x": b"y"}).packages == {}


@pytest.mark.parametrize(
    "text", [b"install: {a: b}", b"instal: [x]", b"install: ['{{ fail \"x\" }}']", b"install: ['{{ ']"]
)
def test_a_bad_finalizer(text: bytes) -> None:
    entry = parse({**entry_files(), "lib/greet/1.0/finalize.yaml": text}).packages[PackageId("lib", "greet", "1.0")]
    refused(lambda: entry.finalizer)


@pytest.mark.parametrize(
    "keys",
    [
        {"name": None},
        {"revision": "x"},
        {"revision": True},
        {"priority": "high"},
        {"urls": "http://x"},
        {"urls": [[]]},
        {"repo_files": []},
        {"repo_files": {"treev2": {}}},
        {"repo_files": {"treev2": {"filename": "../tree.tar", "checksums": {"sha256": "0" * 64}}}},
        {"repo_files": {"treev2": {"filename": ".hidden", "checksums": {"sha256": "0" * 64}}}},
        {"repo_files": {"treev2": {"filename": "x", "compressiontype": "xz", "checksums": {"sha256": "0" * 64}}}},
    ],
)
def test_bad_repositories(keys: dict[str, Any]) -> None:
    data = {**json.loads(repository_yaml(b"")), **keys}
    assert refused(lambda: read_repository(json.dumps(data).encode())) == "bad-repository"


@pytest.mark.parametrize("content", [b"", b"[]", b"a: [", b"\xff", b"x" * (2 << 20), b"a: &a [*a]"])
def test_what_is_no_repository(content: bytes) -> None:
    refused(lambda: read_repository(content))


def test_numbers_that_are_text(samples: Path) -> None:
    text = (samples / "go" / "repository.yaml").read_text().replace('"1795169398"', "1795169398")
    repository = read_repository(text.encode())
    assert repository.last_update == "1795169398"
    assert read_repository(repository.to_yaml()) == repository


def test_a_wagon_without_tree() -> None:
    content = json.dumps({"name": "x", "type": "http", "repo_files": {}}).encode()
    assert refused(lambda: Wagon.parse(content, lambda name: io.BytesIO())) == "bad-repository"
