# SPDX-License-Identifier: GPL-3.0-or-later
"""Subsets: what is left out at unpack, and what changes when others are enabled."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transaction_bench import Bench, Item, hard

from farm.client.catalog import Catalog
from farm.client.change import Candidate
from farm.client.config import SubsetDefinition
from farm.client.refresh import plan_refresh
from farm.client.subsets import ignored, rules
from farm.spec.model import PackageId
from farm.spec.problem import FarmError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")

RUNTIME = {"annotations": {"subsets": {"rules": {"devel": ["^/usr/include/"], "doc": ["^/usr/share/doc/"]}}}}
FILES = {"usr/bin/a": "a", "usr/include/a/a.h": "h", "usr/share/doc/a/README": "r"}
ID = PackageId("test", "a", "1.0")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def enable(bench: Bench, *names: str, definitions: tuple[SubsetDefinition, ...] = ()) -> None:
    bench.config = dataclasses.replace(bench.config, subsets_enabled=names, subsets_definitions=definitions)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_files_are_left_out(bench: Bench, compression: Any) -> None:
    enable(bench, "doc")
    bench.install(bench.package("a", FILES, runtime=RUNTIME, compression=compression))
    assert bench.get("a").files == ("usr/bin/a", "usr/share/doc/a/README")
    assert not (bench.root / "usr/include").exists()


def test_a_file_left_out_may_have_another_name(bench: Bench) -> None:
    items = [Item("usr/include/a.h", b"h"), hard("usr/bin/a.h", "usr/include/a.h"), Item("usr/bin/b", b"b")]
    bench.install(bench.package("a", items, runtime=RUNTIME))
    assert bench.read("usr/bin/a.h") == "h"
    assert (bench.root / "usr/bin/a.h").stat().st_nlink == 1
    assert bench.get("a").files == ("usr/bin/a.h", "usr/bin/b")


def refresh(bench: Bench, *packages: Candidate) -> list[str]:
    """The command ``subsets apply``: names of what was unpacked again, and codes of warnings."""
    change, problems = plan_refresh(bench.config, Catalog(packages), bench.database)
    return [*(one.id.name for one in bench.apply(change).installed), *(problem.code for problem in problems)]


def test_enabled_sets_are_applied(bench: Bench) -> None:
    package = bench.package("a", FILES, runtime=RUNTIME)
    other = bench.package("b", {"usr/bin/b": "b"})
    bench.install(package, other)
    for names, files in (
        (("devel",), ("usr/bin/a", "usr/include/a/a.h")),
        (("doc", "devel"), ("usr/bin/a", "usr/include/a/a.h", "usr/share/doc/a/README")),
        ((), ("usr/bin/a",)),
        (("doc",), ("usr/bin/a", "usr/share/doc/a/README")),
    ):
        enable(bench, *names)
        assert refresh(bench, package, other) == ["a"]
        assert bench.get("a").files == files
        assert [path for path in FILES if (bench.root / path).exists()] == list(files)
        assert bench.get("a").requested
        assert refresh(bench, package, other) == []
    assert not (bench.root / "usr/include").exists()
    enable(bench, "devel")
    assert refresh(bench) == ["not-available"]


def test_local_definitions_override() -> None:
    here = SubsetDefinition("devel", rules=("^/opt/",), packages=("test/a",))
    there = SubsetDefinition("all", rules=("^/",), categories=("test",))
    own = {"devel": ("^/usr/include/",), "doc": ("^/usr/share/doc/",)}
    assert rules(ID, RUNTIME, ()) == own
    assert rules(ID, RUNTIME, (here, there)) == {**own, "devel": ("^/opt/",)}
    assert rules(ID, RUNTIME, (there,)) == {**own, "all": ("^/",)}
    assert rules(PackageId("x", "a", "1"), {}, (here, there)) == {}


def test_bad_rules_name_the_package(bench: Bench) -> None:
    runtime = {"annotations": {"subsets": {"rules": {"devel": ["(?=x)"]}}}}
    with pytest.raises(FarmError) as caught:
        ignored(ID, runtime, bench.config)
    assert caught.value.code == "bad-regex" and caught.value.problems[0].package == str(ID)
