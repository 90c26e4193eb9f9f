# SPDX-License-Identifier: GPL-3.0-or-later
"""Deleting never leaves the tree."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from conftest import needs_root
from storetree import write_tree

from farm.spec.problem import FarmError
from farm.store.removal import remove_tree


def test_removes_anything_and_follows_nothing(tmp_path: Path) -> None:
    outside = write_tree(tmp_path / "outside", {"keep": "x"})
    tree = write_tree(
        tmp_path / "t", {"a/b": "1", "l": ("link", str(outside)), "d/loop": ("link", ".."), "p": ("fifo",)}
    )
    (tree / "d").chmod(0o500)
    remove_tree(tree)
    assert not tree.exists()
    assert (outside / "keep").exists()
    remove_tree(tree)
    (tmp_path / "l").symlink_to(outside)
    remove_tree(tmp_path / "l")
    assert (outside / "keep").exists()


def test_depth_has_no_limit(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    fd = os.open(tmp_path / "t", os.O_RDONLY)
    for _ in range(1200):
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        os.mkdir("sub", dir_fd=fd)
        inner = os.open("sub", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    remove_tree(tmp_path / "t")
    assert not (tmp_path / "t").exists()


@needs_root
@pytest.mark.parametrize("kind", [["-t", "tmpfs", "tmpfs"], ["--bind"]])
def test_mounts_are_never_entered(tmp_path: Path, kind: list[str]) -> None:
    precious = write_tree(tmp_path / "precious", {"f": "x"})
    point = write_tree(tmp_path / "t", {"in side/x": None}) / "in side/x"
    subprocess.run(["mount", *kind, *([str(precious)] if kind == ["--bind"] else []), str(point)], check=True)
    try:
        with pytest.raises(FarmError) as caught:
            remove_tree(tmp_path / "t")
        assert caught.value.code == "mounted"
    finally:
        subprocess.run(["umount", point], check=True)
    assert (precious / "f").exists()
    assert point.exists()
