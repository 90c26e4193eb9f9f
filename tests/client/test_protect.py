# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PTH208
"""Files that the user may have changed."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from transaction_bench import Bench, Item

from farm.client.protect import Protection, following, latest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, config_protect=("/etc",))
    made.install(made.package("a", {"etc/a.conf": "one", "etc/same": "s", "usr/a.conf": "one"}))
    (made.root / "etc/a.conf").write_text("changed")
    (made.root / "usr/a.conf").write_text("changed")
    yield made
    made.close()


def test_changed_files_stay(bench: Bench) -> None:
    bench.upgrade(bench.package("a", {"etc/a.conf": "two", "etc/same": "s", "usr/a.conf": "two"}, "2.0"))
    assert bench.read("etc/a.conf") == "changed" and bench.read("etc/._cfg0001_a.conf") == "two"
    assert bench.read("usr/a.conf") == "two"
    assert sorted(os.listdir(bench.root / "etc")) == ["._cfg0001_a.conf", "a.conf", "same"]
    assert "etc/a.conf" in bench.get("a").files
    bench.upgrade(bench.package("a", {"etc/a.conf": "two"}, "2.1"))
    assert not (bench.root / "etc/._cfg0002_a.conf").exists()
    bench.upgrade(bench.package("a", {"etc/a.conf": "three"}, "3.0"))
    assert bench.read("etc/._cfg0002_a.conf") == "three" and bench.read("etc/._cfg0001_a.conf") == "two"


def test_files_of_nobody_stay(bench: Bench) -> None:
    (bench.root / "etc/mine").write_text("mine")
    bench.install(bench.package("b", [Item("etc/mine", b"theirs")]))
    assert bench.read("etc/mine") == "mine" and bench.read("etc/._cfg0001_mine") == "theirs"


def test_an_upgrade_keeps_what_it_lacks_and_removal_does_not(bench: Bench) -> None:
    bench.upgrade(bench.package("a", {"etc/same": "s"}, "2.0"))
    assert bench.read("etc/a.conf") == "changed"
    bench.remove("a")
    assert not (bench.root / "etc/same").exists()


def test_removal_keeps_when_told(bench: Bench) -> None:
    bench.remove("a", keep_protected=True)
    assert bench.read("etc/a.conf") == "changed"


def test_a_package_protects_its_own_folder(bench: Bench) -> None:
    (bench.root / "opt").mkdir()
    (bench.root / "opt/x").write_text("mine")
    bench.install(bench.package("b", {"opt/x": "x"}, runtime={"annotations": {"config_protect": "/opt"}}))
    assert bench.read("opt/x") == "mine"


def test_nothing_is_protected_when_told(bench: Bench) -> None:
    bench.config = dataclasses.replace(bench.config, skip_config_protect=True)
    bench.upgrade(bench.package("a", {"etc/a.conf": "two"}, "2.0"))
    assert bench.read("etc/a.conf") == "two"


def test_names() -> None:
    protection = Protection(["/etc", "opt/x/"])
    assert protection.covers(b"etc/a") and protection.covers(b"opt/x/y") and protection.covers(b"etc")
    assert not protection.covers(b"etcetera/a") and not protection.covers(b"opt/xy")
    names = [b"a", b"._cfg0002_a", b"._cfg0009_b", b"._cfg0001_a"]
    assert latest(b"a", names) == b"._cfg0002_a" and following(b"a", names) == b"._cfg0003_a"
    assert latest(b"c", names) is None and following(b"c", names) == b"._cfg0001_c"
