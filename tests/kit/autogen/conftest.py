# SPDX-License-Identifier: GPL-3.0-or-later
"""Services and a project for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import autogen_services as stand_ins
import pytest
from autogen_project import Project


@pytest.fixture
def services() -> Iterator[stand_ins.Services]:
    with stand_ins.serving() as running:
        yield running


@pytest.fixture
def project(tmp_path: Path, services: stand_ins.Services) -> Project:
    return Project(tmp_path, services)


@pytest.fixture
def github(services: stand_ins.Services) -> stand_ins.GitHub:
    return stand_ins.GitHub(services)
