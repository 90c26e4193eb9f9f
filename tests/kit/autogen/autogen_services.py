# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins on loopback for the services that autogen asks: strict about what they are asked for, and counting it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from served import answering


class Services:
    """``files`` maps paths to bytes or to what answers a request; every request is noted in ``asked``.

    Answers carry an ETag and honour conditions and ranges. ``sent`` are the paths that were answered with content. An
    unknown path is a 404 and is noted in ``strange``.
    """

    def __init__(self) -> None:
        self.base = ""
        self.files: dict[str, Any] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.sent: list[str] = []
        self.strange: list[str] = []

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        """Notes a request and answers it; each has a connection of its own."""
        self.asked.append((handler.command, handler.path, dict(handler.headers)))
        request = Request(handler, self.sent)
        content = self.files.get(handler.path, self.files.get(request.path))
        handler.close_connection = True
        if content is None:
            self.strange.append(handler.path)
            request.status(404)
        elif callable(content):
            content(request)
        else:
            request.send(content)

    def paths(self, beginning: str = "") -> list[str]:
        """Paths that were asked for, with their queries."""
        return [path for _, path, _ in self.asked if path.startswith(beginning)]

    def json(self, path: str, data: Any) -> None:
        """Puts a JSON document there."""
        self.files[path] = json.dumps(data).encode()

    def pages(self, path: str, entries: list[Any], default: int = 30, size: str = "per_page") -> None:
        """A list in pages, as forges give it: sizes up to 100, a Link header while there are more (RFC 8288)."""

        def answer(request: Request) -> None:
            count = min(int(request.query.get(size, str(default))), 100)
            page = int(request.query.get("page", "1"))
            assert count > 0 and page > 0, request.path
            last = max((len(entries) + count - 1) // count, 1)
            link = {"Link": f'<{self.base}{path}?page={page + 1}>; rel="next"'} if page < last else {}
            request.send(json.dumps(entries[(page - 1) * count : page * count]).encode(), link)

        self.files[path] = answer


class Request:
    """One request, and how it is answered."""

    def __init__(self, handler: BaseHTTPRequestHandler, sent: list[str]) -> None:
        parts = urlsplit(handler.path)
        self.handler = handler
        self.sent = sent
        self.path = parts.path
        self.query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.headers = handler.headers

    def send(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """The body, or what of it is asked for; nothing when the asker has it."""
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.headers.get("If-None-Match") == tag:
            self.status(304, {"ETag": tag})
            return
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.headers.get("If-Range", tag) == tag:
            start = int(asked[1])
        if start >= len(body) > 0:
            self.status(416)
            return
        self.sent.append(self.path)
        self.handler.send_response(206 if start else 200)
        if start:
            self.handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        for name, value in {"ETag": tag, "Content-Length": str(len(body) - start), **(headers or {})}.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        if self.handler.command != "HEAD":
            self.handler.wfile.write(body[start:])

    def status(self, code: int, headers: Mapping[str, str] | None = None) -> None:
        """A bare status."""
        self.handler.send_response(code)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()


Answer = Callable[[Request], None]


@contextlib.contextmanager
def serving() -> Iterator[Services]:
    """The services, for the time of a test."""

    services = Services()
    with answering(services.handle) as services.base:
        yield services


def sha(name: str) -> str:
    """A commit id that belongs to a name."""
    return hashlib.sha1(name.encode()).hexdigest()


class GitHub:
    """Repositories as https://docs.github.com/rest describes them, below ``/api``."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.url = f"{services.base}/api"

    def repository(
        self, name: str, tags: list[str], releases: list[dict[str, Any]] | None = None, **about: Any
    ) -> None:
        """A repository ``user/repo``. A release is ``{tag_name, name, prerelease, assets: {name: bytes}}``."""
        path = f"/api/repos/{name}"
        self.services.json(path, {"full_name": name, "html_url": f"https://github.com/{name}", **about})
        self.services.pages(f"{path}/tags", [self._tag(name, tag) for tag in tags])
        self.services.pages(f"{path}/releases", [self._release(name, one) for one in releases or []])
        for tag in tags:
            content = tarball(f"{name.replace('/', '-')}-{sha(tag)[:7]}", {"README.md": tag.encode()})
            self.services.files[f"{path}/tarball/{tag}"] = content
            self.services.files[f"{path}/tarball/refs/tags/{tag}"] = content

    def _tag(self, name: str, tag: str) -> dict[str, Any]:
        tarball = f"{self.url}/repos/{name}/tarball/refs/tags/{tag}"
        return {"name": tag, "commit": {"sha": sha(tag), "url": "x"}, "tarball_url": tarball, "node_id": "N"}

    def _release(self, name: str, release: dict[str, Any]) -> dict[str, Any]:
        tag = release["tag_name"]
        assets = []
        for asset, content in release.get("assets", {}).items():
            path = f"/download/{name}/{tag}/{asset}"
            self.services.files[path] = content
            digest = hashlib.sha256(content).hexdigest()
            assets.append(
                {"name": asset, "browser_download_url": self.services.base + path, "digest": f"sha256:{digest}"}
            )
        whole = {"draft": False, "prerelease": False, "name": tag, "target_commitish": "main", **release}
        return {**whole, "assets": assets, "tarball_url": f"{self.url}/repos/{name}/tarball/{tag}"}


def tarball(folder: str, files: Mapping[str, bytes]) -> bytes:
    """A tar.gz with one folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def pypi_project(services: Services, name: str, versions: Mapping[str, dict[str, Any]], **info: Any) -> None:
    """A project of the index's JSON API. A version is ``{requires_python, requires_dist, yanked}``."""
    releases: dict[str, Any] = {}
    for version, about in versions.items():
        content = tarball(f"{name}-{version}", {"PKG-INFO": version.encode()})
        path = f"/files/{name}-{version}.tar.gz"
        services.files[path] = content
        digests = {"sha256": hashlib.sha256(content).hexdigest(), "md5": hashlib.md5(content).hexdigest()}
        sdist = {
            "packagetype": "sdist",
            "filename": path.rpartition("/")[2],
            "url": services.base + path,
            "digests": digests,
            "requires_python": about.get("requires_python"),
            "yanked": about.get("yanked", False),
        }
        wheel = {**sdist, "packagetype": "bdist_wheel", "filename": f"{name}-{version}-py3-none-any.whl", "url": "x:y"}
        releases[version] = [wheel, sdist]
        one = {"info": {"name": name, "version": version, "requires_dist": about.get("requires_dist"), **info}}
        services.json(f"/pypi/{name}/{version}/json", {**one, "urls": releases[version]})
    last = list(versions)[-1]
    about = {
        "name": name,
        "version": last,
        "requires_dist": versions[last].get("requires_dist"),
        "description": "x" * 99,
    }
    services.json(f"/pypi/{name}/json", {"info": {**about, **info}, "releases": releases, "urls": releases[last]})


def go_module(
    services: Services, module: str, version: str, files: Mapping[str, bytes], proxy: str = "/goproxy"
) -> str:
    """A module of a proxy: its lines of go.sum (https://go.dev/ref/mod#go-sum-files), hashed here independently."""
    out = io.BytesIO()
    names = {f"{module}@{version}/{name}": content for name, content in files.items()}
    with zipfile.ZipFile(out, "w") as zipped:
        for name, content in names.items():
            zipped.writestr(zipfile.ZipInfo(name), content)
    mod = files.get("go.mod", f"module {module}\n".encode())
    path = f"{proxy}/{_escaped(module)}/@v/{version}"
    services.files[f"{path}.zip"] = out.getvalue()
    services.files[f"{path}.mod"] = mod
    return f"{module} {version} {_h1(names)}\n{module} {version}/go.mod {_h1({'go.mod': mod})}\n"


def _escaped(text: str) -> str:
    return "".join("!" + c.lower() if c.isupper() else c for c in text)


def _h1(files: Mapping[str, bytes]) -> str:
    lines = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return "h1:" + base64.b64encode(hashlib.sha256(lines.encode()).digest()).decode()
