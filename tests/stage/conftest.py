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
    program = job_roots.busybox()
    if program is None:
        pytest.skip("no static busybox on this host (package busybox-static)")
    path = tmp_path_factory.mktemp("roots") / "box.tar"
    path.write_bytes(job_roots.busybox_root(program).getvalue())
    return path


@pytest.fixture
def site(tmp_path: Path, box: Path) -> Site:
    """An empty site."""
    return Site(tmp_path, box)
