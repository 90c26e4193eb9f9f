# SPDX-License-Identifier: GPL-3.0-or-later
"""A store and its journal for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import ScriptedRunner

from farm.engine.journal import Journal
from farm.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as store:
        yield store


@pytest.fixture
def journal(store: Store) -> Iterator[Journal]:
    with Journal(store.root) as journal:
        yield journal


@pytest.fixture
def runner() -> Iterator[ScriptedRunner]:
    runner = ScriptedRunner()
    yield runner
    runner.close()
