# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's changes come into the store whole, by renaming and by copying."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.runner.docker import pid1, upper
from farm.runner.docker.pid1 import Report
from farm.store.reach import Reach
from farm.store.removal import remove_tree
from farm.store.union import walk_layer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes devices")

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
"""cap_net_bind_service=ep (struct vfs_cap_data, revision 2)."""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """An empty folder on another file system than ``tmp_path``."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one file system")
    folder = Path(tempfile.mkdtemp(dir=shared))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def changes(tmp_path: Path) -> Path:
    """An upper directory with one of each kind of entry."""
    made = tmp_path / "upper"
    (made / "folder/inner").mkdir(parents=True)
    (made / "folder").chmod(0o2750)
    os.setxattr(made / "folder", "trusted.overlay.opaque", b"y")
    program = made / "folder/program"
    program.write_bytes(b"x" * 5000)
    os.chown(program, 12, 34)
    program.chmod(0o4711)
    os.setxattr(program, "security.capability", CAPABILITY)
    os.link(program, made / "folder/inner/same")
    (made / "link").symlink_to("nowhere")
    os.mkfifo(made / "fifo")
    os.mknod(made / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mknod(made / "gone", stat.S_IFCHR, 0)
    os.utime(program, ns=(1, 1_600_000_000_123_456_789))
    return made


def describe(root: Path) -> dict[str, object]:
    """All that a copy has to keep."""
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        xattrs = {name: os.getxattr(path, name, follow_symlinks=False) for name in listed(path)}
        links = info.st_nlink if path.is_file() and not path.is_symlink() else 0
        is_mark = path.is_dir() or (stat.S_ISCHR(info.st_mode) and info.st_rdev == 0)
        time = 0 if is_mark else int(info.st_mtime)
        content = path.read_bytes() if stat.S_ISREG(info.st_mode) else b""
        found[str(path.relative_to(root))] = (
            *(info.st_mode, info.st_uid, info.st_gid, info.st_rdev),
            *(links, time, xattrs, content),
        )
    return found


def listed(path: Path) -> list[str]:
    return [name for name in os.listxattr(path, follow_symlinks=False) if name != "security.selinux"]


def test_renamed(changes: Path, tmp_path: Path) -> None:
    before = describe(changes)
    (tmp_path / "into").mkdir()
    upper.take(changes, tmp_path / "into")
    assert describe(tmp_path / "into") == before
    assert list(changes.iterdir()) == []


def test_copied(changes: Path, elsewhere: Path) -> None:
    upper.take(changes, elsewhere)
    upper.use_user_marks(changes)
    os.removexattr(changes / "folder", "trusted.overlay.opaque")
    assert describe(elsewhere) == describe(changes)
    assert (elsewhere / "folder/program").samefile(elsewhere / "folder/inner/same")


def test_deep_folders_are_copied(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / "upper").mkdir()
    folder = os.open(tmp_path / "upper", os.O_RDONLY)
    for _ in range(40):
        os.mkdir("n" * 200, dir_fd=folder)
        inner = os.open("n" * 200, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    (elsewhere / "into").mkdir()
    upper.take(tmp_path / "upper", elsewhere / "into")
    with Reach(elsewhere / "into") as reach:
        assert len(list(walk_layer(reach))) == 40
    remove_tree(elsewhere / "into")
    remove_tree(tmp_path / "upper")


def test_marks_of_a_failed_root(changes: Path) -> None:
    upper.use_user_marks(changes)
    assert os.getxattr(changes / "folder", "user.overlay.opaque") == b"y"
    assert "user.overlay.opaque" not in os.listxattr(changes / "folder/inner")


def test_what_the_engine_made(tmp_path: Path) -> None:
    made, lower = tmp_path / "upper", tmp_path / "lower"
    (made / "etc").mkdir(parents=True)
    (made / "run/resolver").mkdir(parents=True)
    (made / "etc/hosts").touch()
    (made / "run/resolver/here").touch()
    (lower / "etc").mkdir(parents=True)
    (lower / "run").mkdir()
    found = upper.made_by_engine(made, [lower])
    assert sorted(found) == ["/etc/hosts", "/run/resolver", "/run/resolver/here"]
    assert found.index("/run/resolver/here") < found.index("/run/resolver")


def test_engines_own_layer_is_emptied(tmp_path: Path) -> None:
    (tmp_path / "own/dev/shm").mkdir(parents=True)
    (tmp_path / "own/mtab").symlink_to("/proc/mounts")
    (tmp_path / "own/etc").symlink_to(tmp_path)
    (tmp_path / "own/.dockerenv").touch()
    upper.empty_folder(tmp_path / "own")
    assert list((tmp_path / "own").iterdir()) == []


REPORTS = (
    ("", Report()),
    ("start\nend 0\nstart\n", Report(command=1)),
    ("start\nend 137\npeak 4096\ndone\n", Report(command=0, code=137, peak=4096, done=True)),
    ("start\nno-workdir\ndone\n", Report(command=0, refused="no-workdir", done=True)),
    ("start\nend 0\nlow 0\noom 3\noom_kill 2\nusage_usec 1500000\n", Report(command=0, code=0, kills=2, cpu=1.5)),
    ("start\nend 0\nunder_oom 0\noom_kill 1\n2500000000\n", Report(command=0, code=0, kills=1, cpu=2.5)),
    ("start\nend x\n\xff\nend\n", Report(command=0)),
)


@pytest.mark.parametrize(("text", "expected"), REPORTS)
def test_report(tmp_path: Path, text: str, expected: Report) -> None:
    status = tmp_path / "status"
    status.write_bytes(text.encode("latin-1"))
    assert pid1.read_report(status, ("one", "two")) == expected


def test_command_too_long(tmp_path: Path) -> None:
    commands = ("short", "x" * 131072, "never")
    status = tmp_path / "status"
    status.write_text("start\nend 0\ndone\n")
    assert pid1.runnable(commands) == ("short",)
    assert pid1.read_report(status, commands) == Report(command=1, refused="too-long", done=True)
    assert b"never" not in pid1.script("/luetbuild", commands, {})
