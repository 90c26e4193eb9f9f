# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions by the names of ebuilds."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.bump.kitversions import check_kits, is_live, versions
from farm.spec.problem import FarmError


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A kit with a package in several versions, and one whose name begins alike."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/repo_name").write_text("k\n")
    names = {"app-misc/x": ("1.9", "1.10-r2", "1.10-r10", "9999", "1.2.9999", "x", "1.11_rc1"), "app-misc/x-y": ("7",)}
    for atom, found in names.items():
        (tmp_path / atom).mkdir(parents=True)
        for version in found:
            (tmp_path / atom / f"{atom.partition('/')[2]}-{version}.ebuild").write_text("exit 1\n")
    (tmp_path / "app-misc/x/x-y-8.ebuild").write_text("")
    (tmp_path / "app-misc/live").mkdir()
    (tmp_path / "app-misc/live/live-9999.ebuild").write_text("")
    return tmp_path


def test_versions_in_order(kit: Path) -> None:
    assert versions([kit], "app-misc/x") == ["1.9", "1.10-r2", "1.10-r10", "1.11_rc1"]
    assert versions([kit, kit], "app-misc/x-y") == ["7"]


@pytest.mark.parametrize(("atom", "said"), [("app-misc/live", "only live"), ("app-misc/none", "no ebuild")])
def test_not_in_the_kit(kit: Path, atom: str, said: str) -> None:
    with pytest.raises(FarmError, match=said):
        versions([kit], atom)


def test_what_is_no_kit(kit: Path) -> None:
    check_kits([kit])
    with pytest.raises(FarmError) as caught:
        check_kits([kit / "app-misc", kit, kit / "profiles"])
    assert [problem.code for problem in caught.value.problems] == ["no-kit", "no-kit"]


@pytest.mark.parametrize(
    ("version", "live"), [("9999", True), ("1.9999", True), ("99999-r1", True), ("1.999", False), ("19999.1", False)]
)
def test_live(version: str, live: bool) -> None:
    assert is_live(version) is live
