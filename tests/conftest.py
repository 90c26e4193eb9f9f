# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several floors share."""

from __future__ import annotations

import socketserver
import sys
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


@pytest.fixture(scope="session", autouse=True)
def clients_may_go() -> Iterator[None]:
    """A client that was killed is no fault of a test's server: nothing of it is in the output that tests read."""
    told = socketserver.BaseServer.handle_error

    def handle_error(server: socketserver.BaseServer, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            told(server, request, client_address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socketserver.BaseServer, "handle_error", handle_error)
        yield
