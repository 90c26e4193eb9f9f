# SPDX-License-Identifier: GPL-3.0-or-later
"""A git server and a forge for each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from forge_server import ForgeServer
from git_server import GitServer
from kit_command import World
from served import served


@pytest.fixture
def forge_kind() -> str:
    """Which forge the stand-in is; tests override it."""
    return "github"


@pytest.fixture
def world(tmp_path: Path, forge_kind: str) -> Iterator[World]:
    """Servers that live as long as the test; the target is ``macaroni/app-kit``."""
    with ExitStack() as stack:
        (tmp_path / "git").mkdir()
        (tmp_path / "work").mkdir()
        git = GitServer(tmp_path / "git")
        forge = ForgeServer(forge_kind, git, "macaroni", "app-kit")
        stack.enter_context(served(git))
        stack.enter_context(served(forge))
        yield World(tmp_path / "work", git, forge)
        assert forge.faults == []
