# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots that consist of several file systems."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from transaction_bench import Bench, Item, hard

from farm.client.transaction.switch import Switch
from farm.spec.problem import FarmError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")


@pytest.fixture(params=["boot", "var"])
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A root with another file system at /boot, or at /var, where the database is."""
    place = tmp_path / "root" / request.param
    place.mkdir(parents=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", place], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    made = Bench(tmp_path)
    yield made
    made.close()
    subprocess.run(["umount", place], check=True)


def items(text: bytes) -> list[Item]:
    files = [Item("boot/kernel", text, mode=0o600), hard("boot/same", "boot/kernel"), Item("var/lib/x", text)]
    return [*files, Item("boot/new/y", text), Item("usr/bin/z", text)]


def test_files_go_to_other_file_systems(bench: Bench) -> None:
    bench.install(bench.package("a", items(b"1")))
    assert bench.read("boot/new/y") == bench.read("var/lib/x") == bench.read("usr/bin/z") == "1"
    assert (bench.root / "boot/same").samefile(bench.root / "boot/kernel")
    assert (bench.root / "boot/kernel").stat().st_mode & 0o777 == 0o600
    bench.upgrade(bench.package("a", items(b"2"), "2.0"))
    assert bench.read("boot/kernel") == bench.read("var/lib/x") == "2"
    assert not list(bench.root.rglob(".farm-transaction"))
    bench.remove("a")
    assert not (bench.root / "boot/kernel").exists() and not (bench.root / "var/lib/x").exists()


def test_and_are_put_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.install(bench.package("a", items(b"1")))
    before = bench.tree()

    def fail(self: Switch) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Switch, "sync", fail)
    with pytest.raises(FarmError) as caught:
        bench.upgrade(bench.package("a", items(b"2"), "2.0"))
    assert caught.value.code == "switch-failed"
    assert bench.tree() == before
    assert not list(bench.root.rglob(".farm-transaction"))
