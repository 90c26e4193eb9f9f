# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transaction refuses, and that nothing has changed then."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from transaction_bench import Bench, Item, folder, hard, link, tarball

from farm.client.transaction.switch import Switch
from farm.spec.problem import FarmError
from farm.store.compress import compressor

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    (tmp_path / "outside").mkdir()
    (made.root / "leads-out").symlink_to("../outside")
    (made.root / "leads-up").symlink_to("../../../../../..")
    (made.root / "loop").symlink_to("loop")
    (made.root / "there/mine").mkdir(parents=True)
    (made.root / "there/mine/file").write_text("mine")
    (made.root / "plain").write_text("plain")
    made.install(made.package("installed", {"usr/bin/tool": "tool", "shared/x": "x"}))
    yield made
    made.close()


def refuses(bench: Bench, code: str, **options: Any) -> None:
    """Runs the bench's `wanted` and compares the root, the database, and what lies beside the root."""
    before, installed = bench.tree(), bench.database.installed()
    beside = sorted(bench.root.parent.iterdir())
    with pytest.raises(FarmError) as caught:
        bench.install(*options.pop("packages"), **options)
    assert {problem.code for problem in caught.value.problems if problem.severity == "error"} == {code}
    assert bench.tree() == before
    assert bench.database.installed() == installed
    assert sorted(bench.root.parent.iterdir()) == beside
    assert list((bench.root.parent / "outside").iterdir()) == []
    assert not (bench.config.database_path / "transaction").exists()


HOSTILE: dict[str, tuple[str, list[Item]]] = {
    "traversal": ("unsafe-archive", [Item("a/../../outside/x", b"!")]),
    "dots": ("unsafe-archive", [Item("../outside/x", b"!")]),
    "absolute": ("unsafe-archive", [Item("/outside/x", b"!")]),
    "absolute-folder": ("unsafe-archive", [folder("/outside")]),
    "own-link": ("unsafe-archive", [link("d", "/tmp"), Item("d/x", b"!")]),
    "own-link-up": ("unsafe-archive", [link("d", "../outside"), Item("d/x", b"!")]),
    "hard-outside": ("unsafe-archive", [hard("x", "../outside/y")]),
    "hard-absolute": ("unsafe-archive", [hard("x", "/etc/passwd")]),
    "hard-to-the-root": ("bad-archive", [hard("x", "plain")]),
    "hard-through-link": ("bad-archive", [link("l", "/etc"), hard("x", "l/passwd")]),
    "through-a-link-out": ("leaves-root", [Item("leads-out/x", b"!")]),
    "through-a-link-up": ("leaves-root", [Item("leads-up/etc/x", b"!")]),
    "loop": ("leaves-root", [Item("loop/x", b"!")]),
    "through-a-file": ("folder-in-the-way", [Item("plain/x", b"!")]),
    "over-a-folder": ("folder-in-the-way", [Item("there/mine", b"!")]),
    "link-over-a-folder": ("folder-in-the-way", [link("there", "plain")]),
    "folder-over-a-file-of-others": ("folder-in-the-way", [folder("usr/bin/tool"), Item("usr/bin/tool/x", b"!")]),
    "file-of-others": ("file-conflict", [Item("usr/bin/tool", b"!")]),
    "whiteout": ("bad-archive", [Item("x", type=tarfile.CHRTYPE, device=(0, 0))]),
    "database": ("reserved-path", [Item("var/cache/luet/anise.sqlite", b"!")]),
    "lock": ("reserved-path", [Item("var/cache/luet/transaction.lock", b"!")]),
    "work-folder": ("reserved-path", [Item("var/cache/luet/transaction/journal", b"!")]),
    "file-and-folder": ("bad-archive", [Item("x/y", b"1"), Item("x", b"2")]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(bench: Bench, name: str) -> None:
    code, items = HOSTILE[name]
    good = bench.package("good", {"usr/bin/good": "g", "new/x": "x"})
    refuses(bench, code, packages=[good, bench.package("evil", items, files=[])])


def test_two_packages_have_one_file(bench: Bench) -> None:
    packages = [bench.package(name, {"usr/bin/same": name, f"{name}/x": "x"}) for name in ("a", "b")]
    refuses(bench, "file-conflict", packages=packages)
    refuses(bench, "file-conflict", packages=[bench.package("a", {"n/x": "1"}), bench.package("b", {"n": "2"})])
    refuses(bench, "file-conflict", packages=[bench.package("b", {"n": "2"}), bench.package("a", {"n/x": "1"})])
    linked = [bench.package("a", {"usr/lib/x": "1"}), bench.package("b", [link("lib", "usr/lib")])]
    refuses(bench, "file-conflict", packages=[*linked, bench.package("c", {"lib/x": "2"})])


def test_unowned_files_can_be_refused(bench: Bench) -> None:
    refuses(bench, "file-conflict", packages=[bench.package("a", {"plain": "other"})], unowned="refuse")


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.8])
def test_truncated(bench: Bench, compression: Any, part: float) -> None:
    content = tarball([Item("x", os.urandom(5000)), Item("y", os.urandom(50000)), Item("z", b"z")], compression)
    cut = content[: int(len(content) * part)]
    package = bench.package("a", [], compression=compression, content=cut, files=["x", "y", "z"])
    with pytest.raises(FarmError) as caught:
        bench.install(package)
    assert caught.value.code in ("bad-archive", "package-incomplete")
    assert bench.names() == ["installed"]


def test_listed_files_must_be_there(bench: Bench) -> None:
    refuses(bench, "package-incomplete", packages=[bench.package("a", {"x": "x"}, files=["x", "y"])])


def test_other_bytes_than_the_wagon_says(bench: Bench) -> None:
    package = bench.package("a", {"x": "x"})
    bench.package("a", {"x": "replaced"})
    refuses(bench, "package-digest-mismatch", packages=[package])


def bomb(size: int) -> bytes:
    """A tarball of a file of zeros, made without writing them out."""
    packer = compressor("zstd")
    info = tarfile.TarInfo("zeros")
    info.size = size
    pieces = [packer.compress(info.tobuf())]
    pieces += [packer.compress(bytes(1 << 20)) for _ in range(64)]
    return b"".join(pieces) + packer.flush()


def test_bombs(bench: Bench) -> None:
    declared = bench.package("a", [], content=bomb(64 << 20), farm={"installed_size": 1 << 20})
    refuses(bench, "package-too-large", packages=[declared])
    refuses(bench, "disk-full", packages=[bench.package("a", [], content=bomb(1 << 50))])
    lying = bench.package("a", [], content=bomb(128 << 20))
    refuses(bench, "bad-archive", packages=[lying])


def test_somebody_else_is_at_it(bench: Bench) -> None:
    lock = bench.config.lock_file
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        refuses(bench, "locked", packages=[bench.package("a", {"x": "x"})])


def test_a_failing_switch_is_undone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Switch.sync

    def fail(self: Switch) -> None:
        real(self)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Switch, "sync", fail)
    refuses(bench, "disk-full", packages=[bench.package("a", {"x": "x", "usr/bin/other": "y", "plain": "new"})])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 80 MiB; 64 of them are what the client leaves free."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", place], check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    bench = Bench(small_disk)
    bench.wagon = small_disk.parent
    bench.repository = bench.repository.__class__("test", type="disk", enable=True, urls=(str(bench.wagon),))
    try:
        bench.install(bench.package("a", {"x": "x"}))
        before = bench.tree()
        big: Sequence[Item] = [Item(f"big/{n}", os.urandom(1 << 20)) for n in range(40)]
        with pytest.raises(FarmError) as caught:
            bench.upgrade(bench.package("a", big, "2.0"))
        assert caught.value.code == "disk-full"
        assert bench.tree() == before
        assert [str(one.id) for one in bench.database.installed()] == ["test/a-1.0"]
    finally:
        bench.close()
