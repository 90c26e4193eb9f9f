# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves a wagon over HTTP/1.1: whole files, ranges and conditional requests (RFC 9110), and a page to read.

Only regular files in the wagon's folder and in its ``revisions`` are served, none whose name begins with a dot, and no
link is followed.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.server
import mimetypes
import os
import signal
import socket
import stat
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from farm import __version__
from farm.spec.problem import error
from farm.wagon.page import Pages
from farm.wagon.ranges import parse_range

_IDLE = 60.0
_TYPES = {".yaml": "text/yaml; charset=utf-8", ".minisig": "text/plain; charset=utf-8", ".zst": "application/zstd"}
_UNCHANGING = "public, max-age=31536000, immutable"
_FOLDERS = frozenset(((), ("revisions",)))


class WagonServer(http.server.ThreadingHTTPServer):
    """A server for one wagon; ``url`` is where it is. `shutdown` lets running answers end."""

    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, folder: Path, host: str = "127.0.0.1", port: int = 0) -> None:
        self.folder = folder
        self.pages = Pages(folder)
        self._mutex = threading.Lock()
        self._idle: set[socket.socket] = set()
        self.stopping = False
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except OSError as problem:
            hint = "take another with --host or --port"
            raise error(
                "address-in-use", f"cannot listen on {host} port {port}: {problem.strerror}", hint=hint
            ) from problem

    @property
    def url(self) -> str:
        """The address of the wagon."""
        host, port = self.server_address[:2]
        name = f"[{host!s}]" if self.address_family == socket.AF_INET6 else str(host)
        return f"http://{name}:{port}/"

    def server_bind(self) -> None:
        """As the base class does, without asking the network for this host's name."""
        super(http.server.HTTPServer, self).server_bind()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def stop(self) -> None:
        """Takes no more requests; answers under way are finished, idle connections closed."""
        with self._mutex:
            self.stopping = True
            for connection in self._idle:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        self.shutdown()

    @contextlib.contextmanager
    def waiting(self, connection: socket.socket) -> Iterator[None]:
        """While inside, the connection waits for a request, and may be closed at any time."""
        with self._mutex:
            self._idle.add(connection)
            if self.stopping:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        try:
            yield
        finally:
            with self._mutex:
                self._idle.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: WagonServer
    protocol_version = "HTTP/1.1"
    server_version = f"farm/{__version__}"
    sys_version = ""
    timeout = _IDLE
    # headers and a small body in one packet: else a client waits 40 ms for each answer
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        try:
            with self.server.waiting(self.connection):
                self.rfile.peek(1)  # type: ignore[attr-defined]
        except OSError:
            self.close_connection = True
            return
        super().handle_one_request()
        if self.server.stopping:
            self.close_connection = True

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the wagon's files are public, who fetches them is not."""

    def _answer(self, *, with_body: bool) -> None:
        parts = _parts(self.path)
        if parts == ():
            self._page(with_body)
            return
        try:
            file = _open(self.server.folder, parts) if parts else None
        except OSError:
            file = None
        if file is None or parts is None:
            self._error(HTTPStatus.NOT_FOUND, with_body)
            return
        with file:
            self._file(file, parts[-1], with_body)

    def _page(self, with_body: bool) -> None:
        page = self.server.pages.index()
        tag = f'"{hashlib.sha256(page).hexdigest()[:32]}"'
        if tag in _tags(self.headers.get("If-None-Match", "")):
            self._head(HTTPStatus.NOT_MODIFIED, {"ETag": tag})
            return
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(page)), "ETag": tag}
        headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
        self._head(HTTPStatus.OK, headers)
        if with_body:
            self.wfile.write(page)

    def _file(self, file: BinaryIO, name: str, with_body: bool) -> None:
        info = os.fstat(file.fileno())
        tag = f'"{info.st_ino:x}-{info.st_size:x}-{info.st_mtime_ns:x}"'
        modified = email.utils.formatdate(int(info.st_mtime), usegmt=True)
        headers = {"ETag": tag, "Last-Modified": modified, "Accept-Ranges": "bytes"}
        headers["Cache-Control"] = _UNCHANGING if self.server.pages.is_unchanging(name) else "no-cache"
        if self._is_known(tag, int(info.st_mtime)):
            self._head(HTTPStatus.NOT_MODIFIED, headers)
            return
        headers["Content-Type"] = _type(name)
        start, end = 0, info.st_size
        status = HTTPStatus.OK
        if "Range" in self.headers and self.command == "GET" and self._range_holds(tag, modified):
            wanted = parse_range(self.headers["Range"], info.st_size)
            if wanted == "unsatisfiable":
                size = {"Content-Range": f"bytes */{info.st_size}", "Content-Length": "0"}
                self._head(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, size)
                return
            if wanted is not None:
                start, end = wanted
                status = HTTPStatus.PARTIAL_CONTENT
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{info.st_size}"
        headers["Content-Length"] = str(end - start)
        self._head(status, headers)
        if with_body:
            self._send(file, start, end)

    def _send(self, file: BinaryIO, start: int, end: int) -> None:
        self.wfile.flush()
        if start < end and self.connection.sendfile(file, start, end - start) < end - start:
            self.close_connection = True

    def _is_known(self, tag: str, mtime: int) -> bool:
        """Whether the client has it already (RFC 9110, 13.1.2 and 13.1.3)."""
        known = self.headers.get("If-None-Match")
        if known is not None:
            return known.strip() == "*" or tag in _tags(known)
        since = _date(self.headers.get("If-Modified-Since", ""))
        return since is not None and mtime <= since

    def _range_holds(self, tag: str, modified: str) -> bool:
        """Whether the client's part is of this file (RFC 9110, 13.1.5)."""
        part_of = self.headers.get("If-Range")
        return part_of is None or part_of.strip() in (tag, modified)

    def _head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()

    def _error(self, status: HTTPStatus, with_body: bool) -> None:
        text = f"{status.value} {status.phrase}\n".encode()
        self._head(status, {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(text))})
        if with_body:
            self.wfile.write(text)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return email.utils.formatdate(timestamp, usegmt=True)


def serve_until_stopped(folder: Path, host: str, port: int, say: Callable[[str], object]) -> None:
    """Serves until SIGINT or SIGTERM; then answers under way are finished. FarmError ``address-in-use``."""
    with WagonServer(folder, host, port) as server:

        def handle(_number: int, _frame: FrameType | None) -> None:
            for number in before:
                signal.signal(number, signal.SIG_DFL)
            threading.Thread(target=server.stop, name="stop").start()

        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            say(server.url)
            server.serve_forever(poll_interval=0.2)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _parts(target: str) -> tuple[str, ...] | None:
    """The path's parts; None when no such path can be served."""
    path = urllib.parse.unquote(target.partition("?")[0].partition("#")[0]) if target.startswith("/") else "\0"
    parts = tuple(part for part in path.split("/") if part)
    if any(part.startswith(".") or "\0" in part or "\\" in part for part in parts):
        return None
    return parts if not parts or parts[:-1] in _FOLDERS else None


def _open(folder: Path, parts: tuple[str, ...]) -> BinaryIO | None:
    """A regular file, opened step by step so that no link leads away. None when there is no such file."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            last = part is parts[-1]
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_NONBLOCK if last else os.O_DIRECTORY)
            below = os.open(part, flags, dir_fd=fd)
            os.close(fd)
            fd = below
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        file = os.fdopen(fd, "rb")
        fd = -1
        return file
    finally:
        if fd >= 0:
            os.close(fd)


def _type(name: str) -> str:
    known = _TYPES.get(Path(name).suffix)
    return known or mimetypes.guess_type(name, strict=False)[0] or "application/octet-stream"


def _tags(header: str) -> set[str]:
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def _date(header: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(header).timestamp() if header else None
    except ValueError:
        return None
