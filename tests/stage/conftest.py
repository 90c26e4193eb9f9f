# SPDX-License-Identifier: GPL-3.0-or-later
"""Small farms that make stages."""

from __future__ import annotations

from pathlib import Path

import job_roots
import pytest
from stage_site import Site


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root tarball with a shell."""
    return job_roots.busybox_tar(tmp_path_factory.mktemp("roots"))


@pytest.fixture
def site(tmp_path: Path, box: Path) -> Site:
    """An empty site."""
    return Site(tmp_path, box)
