# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several floors share."""

from __future__ import annotations

from collections.abc import Iterator

import docker_engine
import pytest


@pytest.fixture(scope="session")
def docker_host() -> Iterator[str]:
    """DOCKER_HOST of an engine, which is started when none answers; skips where that cannot be."""
    with docker_engine.engine() as host:
        if host is None:
            pytest.skip("no Docker engine answers and none can be started here (needs root and dockerd)")
        yield host
