# SPDX-License-Identifier: GPL-3.0-or-later
"""A real git server over HTTP on loopback: ``git http-backend`` behind a small CGI server, with Basic auth to push."""

from __future__ import annotations

import base64
import gzip
import http.server
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

TOKEN = "s3cret-token"


class GitServer(http.server.ThreadingHTTPServer):
    """Serves the bare repositories below ``root`` as ``http://127.0.0.1:PORT/OWNER/NAME.git``.

    ``broken``: called with method and path before each request; what it returns happens instead: ``cut`` (the
    connection ends in the middle of the answer), a status, or None. ``requests`` are the calls so far.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.broken: Callable[[str, str], int | str | None] = lambda _method, _path: None
        self.requests: list[str] = []
        self.after_push: Callable[[str], None] = lambda _repository: None
        self.users: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        pass

    def create(self, name: str) -> Path:
        """Makes an empty bare repository that takes pushes."""
        folder = self.root / f"{name}.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "master", str(folder)], check=True)
        subprocess.run(["git", "-C", str(folder), "config", "http.receivepack", "true"], check=True)
        return folder

    def branches(self, name: str) -> dict[str, str]:
        """Branch → commit."""
        out = git(self.root / f"{name}.git", "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads")
        return dict(line.split(" ") for line in out.splitlines())


def git(folder: Path, *words: str, stdin: bytes | None = None) -> str:
    """Calls git in a repository."""
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_NAME": "Somebody", f"GIT_{who}_EMAIL": "somebody@example.org"}
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, input=stdin, env=env, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().rstrip("\n")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: GitServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        pushing = "git-receive-pack" in self.path
        self.server.requests.append(f"{self.command} {self.path}")
        body = self._body()
        happens = self.server.broken(self.command, self.path)
        if isinstance(happens, int):
            return self._answer(happens, {}, b"")
        if pushing and not self._allowed():
            return self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        head, content = self._backend(url.path, url.query, body)
        if pushing and self.command == "POST":
            self.server.after_push(url.path.split(".git")[0].strip("/"))
        if happens == "cut":
            self.send_response(200)
            for name, value in head.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) + 1000))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return None
        return self._answer(int(head.pop("Status", "200").split()[0]), head, content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _allowed(self) -> bool:
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Basic":
            return False
        user, _, token = base64.b64decode(value).decode().partition(":")
        self.server.users.append(user)
        return user == "oauth2" and token == TOKEN

    def _backend(self, path: str, query: str, body: bytes) -> tuple[dict[str, str], bytes]:
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "bot",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        return dict(line.split(": ", 1) for line in head.decode().split("\r\n")), content

    def _answer(self, status: int, head: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in head.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
