# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of tests: in a thread, for the time of a block."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def served(server: socketserver.TCPServer) -> Iterator[str]:
    """Runs a server; gives ``http://HOST:PORT``. Nothing of it is left at the end."""
    host, port = server.server_address[:2]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
