# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PTH208
"""What a transaction does to a root when all goes well."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from transaction_bench import TIME, Bench, Item, folder, hard, link

from farm.client.change import Change
from farm.client.transaction.apply import Options, apply

CAPABILITY = "SCHILY.xattr.security.capability"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_install_and_remove(bench: Bench) -> None:
    (bench.root / "usr").mkdir()
    bench.install(bench.package("a", {"usr/bin/a": "A", "usr/share/a/x/deep": "X"}))
    assert bench.read("usr/bin/a") == "A"
    assert bench.get("a").files == ("usr/bin/a", "usr/share/a/x/deep")
    assert bench.get("a").requested
    assert not (bench.config.database_path / "transaction").exists()
    bench.remove("a")
    assert bench.names() == []
    assert list((bench.root / "usr").iterdir()) == [], "what a package made goes, what was there before stays"


def test_metadata_is_kept(bench: Bench) -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    bench.install(
        bench.package(
            "a",
            [
                folder("etc", 0o711),
                folder("empty", 0o1777, uid=3),
                Item("etc/secret", b"s", mode=0o640, uid=33, gid=44),
                Item("etc/set-id", b"#!", mode=0o4755, gid=5),
                Item("etc/capable", b"x", mode=0o755, pax={CAPABILITY: capability.decode("latin-1")}),
                Item("etc/tagged", b"x", pax={"SCHILY.xattr.user.tag": "blue"}),
                hard("etc/twin", "etc/secret"),
                link("etc/link", "secret"),
                Item("etc/pipe", type=tarfile.FIFOTYPE, mode=0o600),
                Item("etc/null", type=tarfile.CHRTYPE, mode=0o666, device=(1, 3)),
            ],
        ),
        bench.package("b", {"etc/other": "b"}),
    )  # fmt: skip
    etc = bench.root / "etc"
    assert stat.S_IMODE(etc.stat().st_mode) == 0o711
    assert ((bench.root / "empty").stat().st_uid, stat.S_IMODE((bench.root / "empty").stat().st_mode)) == (3, 0o1777)
    secret = (etc / "secret").stat()
    assert (stat.S_IMODE(secret.st_mode), secret.st_uid, secret.st_gid, secret.st_mtime) == (0o640, 33, 44, TIME)
    assert stat.S_IMODE((etc / "set-id").stat().st_mode) == 0o4755
    assert os.getxattr(etc / "capable", "security.capability") == capability
    assert os.getxattr(etc / "tagged", "user.tag") == b"blue"
    assert (etc / "twin").samefile(etc / "secret")
    assert str((etc / "link").readlink()) == "secret"
    assert stat.S_ISFIFO((etc / "pipe").stat().st_mode)
    assert (etc / "null").stat().st_rdev == os.makedev(1, 3)
    assert etc.stat().st_mtime == TIME
    bench.remove("a")
    assert not (bench.root / "empty").exists()
    assert sorted(path.name for path in etc.iterdir()) == ["other"]


def test_upgrade_is_one_step(bench: Bench) -> None:
    bench.install(
        bench.package("a", {"usr/lib/liba.so.1": "1", "usr/bin/a": "old", "usr/share/gone/x": "x"}),
        bench.package("b", {"usr/bin/b": "b"}),
    )
    before = (bench.root / "usr/bin/a").stat().st_ino
    bench.upgrade(bench.package("a", {"usr/lib/liba.so.2": "2", "usr/bin/a": "new"}, "2.0"))
    assert bench.read("usr/bin/a") == "new"
    assert (bench.root / "usr/bin/a").stat().st_ino != before
    assert not (bench.root / "usr/share").exists()
    assert sorted(os.listdir(bench.root / "usr/lib")) == ["liba.so.2"]
    assert bench.read("usr/bin/b") == "b"
    assert [str(one.id) for one in bench.database.installed()] == ["test/a-2.0", "test/b-1.0"]
    assert bench.get("a").requested


def test_kinds_may_change(bench: Bench) -> None:
    bench.install(bench.package("a", [Item("x/file", b"f"), Item("d/e/one", b"1"), link("l", "x")]))
    new = [Item("x/file/now-a-folder", b"n"), link("d", "x"), Item("l", b"a file")]
    bench.upgrade(bench.package("a", new, "2.0"))
    assert bench.read("x/file/now-a-folder") == "n"
    assert str((bench.root / "d").readlink()) == "x"
    assert bench.read("l") == "a file"
    bench.upgrade(bench.package("a", [Item("x/file", b"f"), Item("d/e/one", b"1"), link("l", "x")], "3.0"))
    assert bench.read("d/e/one") == "1" and bench.read("x/file") == "f"
    bench.remove("a")
    assert bench.tree() == {"var": bench.tree()["var"]}


def test_links_among_folders_are_followed_inside_the_root(bench: Bench) -> None:
    (bench.root / "opt").symlink_to("/usr/opt")
    users = bench.package("user", {"lib/x.so": "x", "opt/tool/run": "r"})
    base = bench.package("base", [link("lib", "usr/lib"), Item("usr/lib/y.so", b"y")])
    bench.install(users, base)
    assert (bench.root / "lib").is_symlink()
    assert bench.read("usr/lib/x.so") == "x" and bench.read("usr/opt/tool/run") == "r"
    assert bench.get("user").files == ("usr/lib/x.so", "usr/opt/tool/run")
    bench.remove("user")
    assert sorted(os.listdir(bench.root / "usr/lib")) == ["y.so"]


def test_reinstall_repairs(bench: Bench) -> None:
    package = bench.package("a", {"usr/bin/a": "A", "usr/bin/b": "B"})
    bench.install(package)
    (bench.root / "usr/bin/a").write_text("broken")
    (bench.root / "usr/bin/b").unlink()
    bench.upgrade(package)
    assert bench.read("usr/bin/a") == "A" and bench.read("usr/bin/b") == "B"


def test_files_of_nobody(bench: Bench) -> None:
    (bench.root / "etc").mkdir()
    (bench.root / "etc/mine").write_text("mine")
    (bench.root / "etc/same").write_text("same")
    package = bench.package("a", {"etc/mine": "theirs", "etc/same": "same"})
    result = bench.install(package)
    assert [problem.code for problem in result.warnings] == ["unowned-replaced"]
    assert bench.read("etc/mine") == "theirs"


def test_present_packages_become_requested(bench: Bench) -> None:
    package = bench.package("a", {"a": "A"})
    apply(Change(install=(package,), order=(package.id,)), bench.config, bench.database, options=Options())
    assert not bench.get("a").requested
    bench.apply(Change(present=(bench.get("a"),)))
    assert bench.get("a").requested


def test_taking_files_from_another_package(bench: Bench) -> None:
    bench.install(bench.package("a", {"x": "a", "y": "a"}))
    bench.install(bench.package("b", {"x": "b"}), overwrite=True)
    assert bench.get("a").files == ("y",)
    bench.remove("a")
    assert bench.read("x") == "b"


def test_deep_and_odd_names(bench: Bench) -> None:
    deep = "/".join(["d" * 200] * 30) + "/file"
    odd = [Item(deep, b"deep"), Item("sp ace/ü\n", b"odd"), Item("n/" + "x" * 250, b"long")]
    bench.install(bench.package("a", odd), bench.package("b", [Item(deep + "2", b"other")]))
    assert bench.read("sp ace/ü\n") == "odd"
    bench.remove("a", "b")
    assert set(bench.tree()) == {"var"}


def test_several_packages_share_folders(bench: Bench) -> None:
    packages = [bench.package(f"p{n}", {f"usr/bin/{n}": "x", f"usr/share/doc/p{n}/README": "x"}) for n in range(20)]
    bench.install(*packages)
    assert len(os.listdir(bench.root / "usr/bin")) == 20
    bench.remove(*(f"p{n}" for n in range(19)))
    assert os.listdir(bench.root / "usr/share/doc") == ["p19"]
    bench.remove("p19")
    assert not (bench.root / "usr").exists()


def test_names_that_are_no_text(bench: Bench) -> None:
    name = os.fsdecode(b"usr/\xff\xfe")
    bench.install(bench.package("a", [Item(name, b"x")]))
    assert os.listdir(os.fsencode(bench.root / "usr")) == [b"\xff\xfe"]
    bench.remove("a")
    assert not (bench.root / "usr").exists()


def test_a_package_may_have_the_folders_of_the_client(bench: Bench) -> None:
    base = [folder("var", 0o751), folder("var/cache", 0o711), link("var/lock", "../run/lock"), folder("run/lock")]
    bench.install(bench.package("base", base))
    assert str((bench.root / "var/lock").readlink()) == "../run/lock"
    assert stat.S_IMODE((bench.root / "var").stat().st_mode) == 0o751
    assert stat.S_IMODE((bench.root / "var/cache").stat().st_mode) == 0o711
    bench.install(bench.package("a", [folder("var", 0o700), Item("var/x", b"x")]))
    assert stat.S_IMODE((bench.root / "var").stat().st_mode) == 0o751
    assert (bench.root / "run/lock/luet.lock").exists()
    bench.remove("base", "a")
    assert sorted(os.listdir(bench.root / "var")) == ["cache"]
