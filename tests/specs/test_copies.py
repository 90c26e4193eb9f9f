# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in several trees of ours is the same in all of them.

A tree does not reach into another: each can be copied and built alone, a link in a package's folder is a link in the
build, too, and a folder's files are part of the job's key. So there are copies, and this test.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_SPECS = Path(__file__).resolve().parents[2] / "specs"
_TREES = ("mfs", "mfs-arm", "mfs-mini")


def test_busybox_has_the_same_patches_everywhere() -> None:
    """Those for its faults; later numbers are a tree's own."""
    patches = [{p.name: p.read_bytes() for p in (_SPECS / tree / "busybox").glob("0[1-4]-*")} for tree in _TREES]
    assert len(patches[0]) == 4
    assert patches[0] == patches[1] == patches[2]


@pytest.mark.parametrize("tree", _TREES[1:])
def test_make_finds_the_same_everywhere(tree: str) -> None:
    """But for the comment on top, and the name of the machine."""

    def found(name: str) -> list[str]:
        lines = (_SPECS / name / "make/config.h").read_text().splitlines()
        return [re.sub("(?<=MAKE_HOST ).*", "", line) for line in lines if not line.startswith("/*")]

    assert found(tree) == found(_TREES[0])
    assert len(found(tree)) > 70
