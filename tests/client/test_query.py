# SPDX-License-Identifier: GPL-3.0-or-later
"""Searching, owners, orphans, and databases made anew."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from client_wagons import catalog, database_of, entry, installed

from farm.client.adopt import adopt, adopt_stones
from farm.client.catalog import Catalog
from farm.client.change import Candidate
from farm.client.config import ClientConfig, RepositoryConfig
from farm.client.database import Database
from farm.client.query import Criteria, Stone, belongs, orphans, search, stones_of, unneeded
from farm.client.refresh import plan_refresh
from farm.spec.problem import FarmError

RULES = {"subsets": {"rules": {"devel": ["^/usr/include/"]}}}


def stones() -> list[Stone]:
    return stones_of([
        installed("app/firefox-2", ["usr/bin/firefox", "usr/lib/ff.so"]),
        installed("app/firefox-10"),
        dataclasses.replace(installed("dev/gcc-1 gives virtual/cc@1"), runtime={
            "labels": {"kit": "core", "lang": "c"}, "annotations": {"a": 1}, "license": "GPL",
            "provides": [{"category": "virtual", "name": "cc", "version": "1"}], "use_flags": ["ssl"],
        }),
        dataclasses.replace(installed("app/secret-1"), runtime={"hidden": True}),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("criteria", "found"),
    [
        (Criteria(matches=["."]), ["app/firefox-2", "app/firefox-10", "dev/gcc-1"]),
        (Criteria(matches=["^app/", "gcc$"]), ["app/firefox-2", "app/firefox-10", "dev/gcc-1"]),
        (Criteria(matches=["secret"]), []),
        (Criteria(matches=["secret"], hidden=True), ["app/secret-1"]),
        (Criteria(names=["gcc", "none"]), ["dev/gcc-1"]),
        (Criteria(categories=["^d"]), ["dev/gcc-1"]),
        (Criteria(labels=["kit"]), ["dev/gcc-1"]),
        (Criteria(label_matches=["kit=co"]), ["dev/gcc-1"]),
        (Criteria(annotations=["a"]), ["dev/gcc-1"]),
        (Criteria(packages=["app/firefox@>=3"]), ["app/firefox-10"]),
        (Criteria(packages=["virtual/cc"]), ["dev/gcc-1"]),
        (Criteria(matches=["firefox"], labels=["kit"]), []),
        (Criteria(matches=["firefox"], labels=["kit"], either=True), ["app/firefox-2", "app/firefox-10", "dev/gcc-1"]),
    ],
)
def test_search(criteria: Criteria, found: list[str]) -> None:
    assert [str(stone.id) for stone in search(stones(), criteria)] == found


@pytest.mark.parametrize(
    ("criteria", "code"), [(Criteria(matches=["("]), "bad-regex"), (Criteria(packages=["a/b/c"]), "bad-target")]
)
def test_bad_questions(criteria: Criteria, code: str) -> None:
    with pytest.raises(FarmError) as caught:
        search(stones(), criteria)
    assert caught.value.code == code


def test_documents_have_the_go_clients_keys() -> None:
    gcc = search(stones(), Criteria(names=["gcc"]))[0]
    assert gcc.document() == {
        "name": "gcc", "category": "dev", "version": "1", "license": "GPL", "repository": "main",
        "annotations": {"a": 1}, "labels": {"kit": "core", "lang": "c"},
    }  # fmt: skip
    assert gcc.document(full=True)["provides"] == [{"name": "cc", "category": "virtual", "version": "1"}]
    firefox = search(stones(), Criteria(matches=["firefox"]))[0]
    assert firefox.document(files=True, prefix="/r/")["files"] == ["/r/usr/bin/firefox", "/r/usr/lib/ff.so"]


def test_belongs() -> None:
    assert [str(stone.id) for stone in belongs(stones(), ["/usr/bin/firefox"])] == ["app/firefox-2"]
    assert [str(stone.id) for stone in belongs(stones(), ["bin/fire"])] == ["app/firefox-2"], (
        "a part of a path, as luet"
    )
    assert belongs(stones(), ["/usr/bin/none"]) == []


def test_orphans_and_unneeded(tmp_path: Path) -> None:
    lines = ["a/x-1 needs a/y", "auto a/y-1", "auto a/old-1 needs a/older", "auto a/older-1"]
    with database_of(tmp_path, *lines) as database:
        there = database.installed()
    offered = catalog("a/x-2", "a/old-9", "a/masked-1", masks=["a/masked"])
    assert [str(one.id) for one in orphans(offered, [*there, installed("a/masked-1")])] == ["a/older-1", "a/y-1"]
    assert [str(one.id) for one in unneeded(there)] == ["a/old-1", "a/older-1"]


def root_of(tmp_path: Path, files: dict[str, str], subsets: tuple[str, ...] = ()) -> ClientConfig:
    for path, content in files.items():
        (tmp_path / "root" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / path).write_text(content)
    state = tmp_path / "state"
    return ClientConfig(tmp_path / "root", state, state / "packages", tmp_path / "tmp", subsets_enabled=subsets)


def offered(line: str, files: dict[str, str], **more: Any) -> Candidate:
    made = entry(line, list(files), **more)
    digests = {path: hashlib.sha256(content.encode()).hexdigest() for path, content in files.items()}
    made.metadata = dataclasses.replace(made.metadata, farm={"digests": digests})
    return Candidate(made.id, RepositoryConfig("main", enable=True), made)


def test_adopt(tmp_path: Path) -> None:
    config = root_of(tmp_path, {"usr/bin/x": "2", "usr/bin/y": "changed", "etc/known": "k"})
    (tmp_path / "root/usr/lib").symlink_to("bin")
    packages = (
        offered("a/x-1", {"usr/bin/x": "1"}),
        offered("a/x-2 needs a/meta a/y", {"usr/bin/x": "2", "usr/include/x.h": "-"}, annotations=RULES),
        offered("a/x-3", {"usr/bin/x": "3"}),
        offered("a/y-1", {"usr/bin/y": "y"}),
        offered("a/gone-1", {"usr/bin/gone": "g"}),
        offered("a/meta-1 needs a/deep", {}),
        offered("a/deep-1", {}),
        offered("a/lonely-1", {}),
        offered("a/known-1", {"etc/known": "k"}),
    )
    with Database(tmp_path / "anise.sqlite") as database:
        with database.transaction():
            database.add(installed("a/known-0"))
        found = adopt(config, Catalog(packages), database)
        there = {str(one.id): one for one in database.installed()}
    assert sorted(there) == ["a/deep-1", "a/known-0", "a/meta-1", "a/x-2", "a/y-1"]
    assert there["a/x-2"].files == ("usr/bin/x",), "what subsets leave out is not registered"
    assert [name for name, one in there.items() if one.requested] == ["a/known-0", "a/x-2"]
    assert {str(one.installed.id): (one.checked, one.same) for one in found}["a/y-1"] == (1, 0)


def test_adopt_what_another_client_says(tmp_path: Path) -> None:
    config = root_of(tmp_path, {})
    root = str(config.rootfs)
    stone = {"name": "x", "category": "a", "version": "1", "repository": "main", "files": [f"{root}/{root}/usr/bin/x"]}
    with Database(tmp_path / "anise.sqlite") as database:
        adopt_stones(config, json.dumps({"stones": [stone]}).encode(), database)
        (one,) = database.installed()
        assert (one.files, one.repository, one.requested) == (("usr/bin/x",), "main", True)
        for content in (b"{", b"[]", b'{"stones": [{"name": 1}]}'):
            with pytest.raises(FarmError) as caught:
                adopt_stones(config, content, database)
            assert caught.value.code == "bad-stones"


def test_refresh(tmp_path: Path) -> None:
    config = root_of(tmp_path, {})
    files = {"usr/bin/x": "x", "usr/include/x.h": "h"}
    packages = Catalog((offered("a/x-1", files, annotations=RULES), offered("a/y-1", files)))
    with Database(tmp_path / "anise.sqlite") as database:
        with database.transaction():
            for line, there in (("a/x-1", ["usr/bin/x"]), ("a/y-1", ["usr/bin/x"]), ("a/lost-1", [])):
                made = installed(line, there)
                database.add(dataclasses.replace(made, runtime={**made.runtime, "annotations": RULES}))
        change, problems = plan_refresh(config, packages, database)
        assert [str(old.id) for old, _ in change.replace] == ["a/y-1"]
        assert [problem.code for problem in problems] == ["not-available"]
        enabled = dataclasses.replace(config, subsets_enabled=("devel",))
        change, _ = plan_refresh(enabled, packages, database)
        assert [str(old.id) for old, _ in change.replace] == ["a/x-1", "a/y-1"]
