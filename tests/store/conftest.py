# SPDX-License-Identifier: GPL-3.0-or-later
"""A store of its own for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from farm.store.removal import remove_tree
from farm.store.store import Store

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store that must be left without private things."""
    with Store(tmp_path / "store") as made:
        yield made
    assert list((tmp_path / "store/tmp").iterdir()) == []
    assert list((tmp_path / "store/sessions").iterdir()) == []
    # pytest's own clean-up cannot remove deep trees.
    remove_tree(tmp_path / "store")
