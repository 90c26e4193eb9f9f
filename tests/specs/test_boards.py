# SPDX-License-Identifier: GPL-3.0-or-later
"""The specs of boards beside those of MFS: an image with the whole system is made of both, with value files of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from farm.spec.load import load

CHECKOUT = Path(__file__).parents[2]


def builds(*values: Path) -> dict[str, Any]:
    """The build of each package of specs/boards."""
    tree = load([CHECKOUT / "specs/boards"], values)
    return {str(name): package.build for name, package in tree.packages.items()}


@pytest.mark.parametrize("machine", ["arm64", "armv7"])
def test_values_of_mfs_are_no_values_of_boards(machine: str) -> None:
    """What a boot loader is built with is in its own collection; `cross: true` of MFS once took its place."""
    values = [CHECKOUT / "specs/mfs/values" / f"{machine}.yaml", CHECKOUT / "images/values/mfs.yaml"]
    alone = builds()
    assert builds(*values) == alone and len(alone) > 10
