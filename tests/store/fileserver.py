# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server on loopback that behaves as badly as it is told to, and remembers what it was asked for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

from served import Answer, answering


class FileServer:
    """``answers`` maps a path to what is done for each request of it; ``asked`` is the list of (path, Range)."""

    def __init__(self) -> None:
        self.base = ""
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str | None]] = []

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Notes a request and answers it."""
        self.asked.append((request.path, request.headers.get("Range")))
        self.answers.get(request.path, status(404))(request)

    def put(self, path: str, answer: Answer) -> str:
        """The URL under which ``answer`` is now given."""
        self.answers[path] = answer
        return self.base + path


def whole(body: bytes) -> Answer:
    """The file, or the part of it that is asked for."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        handler.send_response(206 if asked else 200)
        if asked:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        handler.wfile.write(body[start:])

    return answer


def no_ranges(body: bytes) -> Answer:
    """The whole file, whatever part is asked for."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def cut(body: bytes, after: int) -> Answer:
    """Promises the file and hangs up after ``after`` bytes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:after])

    return answer


def status(code: int, location: str = "") -> Answer:
    """A bare status, or a redirect."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        if location:
            handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def in_turn(*answers: Answer) -> Answer:
    """One after the other; the last again and again."""
    left = list(answers)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


def stalled(begun: threading.Event, release: threading.Event) -> Answer:
    """Sends nothing until ``release``."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        begun.set()
        release.wait(20)
        status(503)(handler)

    return answer


@contextlib.contextmanager
def serving() -> Iterator[FileServer]:
    """A server for the time of a test."""

    files = FileServer()
    with answering(files.handle, "HTTP/1.0") as files.base:
        yield files
