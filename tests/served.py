# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of tests: in a thread, for the time of a block."""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator

Answer = Callable[[http.server.BaseHTTPRequestHandler], object]


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


@contextlib.contextmanager
def kept_port() -> Iterator[int]:
    """A port of loopback for a program that has to be told one: while the block lasts nobody else is given it.

    It is bound, but nothing listens; a program that sets SO_REUSEADDR, as servers do, may listen there all the same.
    """
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


@contextlib.contextmanager
def answering(answer: Answer, protocol: str = "HTTP/1.1") -> Iterator[str]:
    """A quiet server on loopback whose GET and HEAD requests are answered by a function; gives its URL.

    A client that goes away meanwhile is no fault.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = protocol

        def do_GET(self) -> None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                answer(self)

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with served(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as base:
        yield base
