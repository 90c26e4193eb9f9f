# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the part of GitHub's REST API that tells of releases, tags and commits; strict about requests.

Sources: docs.github.com/rest, "releases", "repos" (tags), "git" (matching references), "commits", "Using pagination",
"Rate limits". What GitHub would refuse is refused, and remembered in ``refused``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import urllib.parse
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

from served import answering

_PATH = re.compile(r"/repos/(?P<owner>[\w.-]+)/(?P<repo>[\w.-]+)/(?P<rest>.+)")


@dataclasses.dataclass
class Project:
    """What one repository has. ``tags`` are in the order in which the forge lists them."""

    tags: list[str] = dataclasses.field(default_factory=list)
    latest: str | None = None
    heads: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)


class ReleaseForge:
    """``asked`` has each path; ``faults`` maps a repository's name to a status, and how often it is given."""

    def __init__(self) -> None:
        self.base = ""
        self.projects: dict[str, Project] = {}
        self.token = ""
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.faults: dict[str, list[tuple[int, dict[str, str]]]] = {}
        self.files: dict[str, bytes] = {}
        self.next_host = ""

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Answers a request."""
        status, headers, body = self.answer(request.path, request.headers)
        request.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            request.send_header(key, value)
        request.end_headers()
        request.wfile.write(body)

    def answer(self, path: str, headers: Any) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body for a GET."""
        self.asked.append(path)
        url = urllib.parse.urlsplit(path)
        if url.path in self.files:
            return 200, {}, self.files[url.path]
        if wrong := self._wrong(headers):
            self.refused.append(wrong)
            return 400, {}, wrong.encode()
        match = _PATH.fullmatch(url.path)
        project = self.projects.get(f"{match['owner']}/{match['repo']}") if match else None
        if match is None or project is None:
            return 404, {}, b'{"message": "Not Found"}'
        if self.faults.get(match["repo"]):
            status, extra = self.faults[match["repo"]].pop(0)
            return status, extra, b'{"message": "fault"}'
        return self._of(project, match, urllib.parse.parse_qs(url.query, strict_parsing=bool(url.query)))

    def _wrong(self, headers: Any) -> str:
        if not headers.get("User-Agent"):
            return "no User-Agent"
        if headers.get("Accept") != "application/vnd.github+json":
            return f"Accept is {headers.get('Accept')}"
        if headers.get("X-GitHub-Api-Version") != "2022-11-28":
            return "no version of the API"
        if headers.get("Authorization", "") != (f"Bearer {self.token}" if self.token else ""):
            return "bad credentials"
        return ""

    def _of(
        self, project: Project, match: re.Match[str], query: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        rest = match["rest"]
        if rest == "releases/latest" and not query:
            return _json({"tag_name": project.latest, "draft": False}) if project.latest else _missing()
        if rest.startswith("releases/tags/") and not query:
            tag = urllib.parse.unquote(rest.removeprefix("releases/tags/"))
            return _json({"tag_name": tag}) if tag in project.tags else _missing()
        if rest == "tags":
            return self._page(project.tags, lambda tag: {"name": tag, "commit": {}}, match[0], query)
        if rest == "git/matching-refs/tags/":
            return self._page(project.tags, lambda tag: {"ref": f"refs/tags/{tag}"}, match[0], query)
        if rest.startswith("commits/") and not query:
            head = project.heads.get(urllib.parse.unquote(rest.removeprefix("commits/")))
            return _json({"sha": head[0], "commit": {"committer": {"date": head[1]}}}) if head else _missing()
        return _missing()

    def _page(
        self, tags: list[str], item: Callable[[str], Any], path: str, query: dict[str, list[str]]
    ) -> tuple[int, dict[str, str], bytes]:
        """One page, with a Link header to the next, as GitHub has it."""
        if set(query) - {"per_page", "page"}:
            return 422, {}, b"{}"
        size, page = min(int(query.get("per_page", ["30"])[0]), 100), int(query.get("page", ["1"])[0])
        part = [item(tag) for tag in tags[(page - 1) * size : page * size]]
        extra = {}
        if page * size < len(tags):
            extra["Link"] = f'<{self.next_host}{path}?per_page={size}&page={page + 1}>; rel="next"'
        status, _, body = _json(part)
        return status, extra, body


def _json(data: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(data).encode()


def _missing() -> tuple[int, dict[str, str], bytes]:
    return 404, {}, b'{"message": "Not Found"}'


@contextlib.contextmanager
def serving() -> Iterator[ReleaseForge]:
    """A forge on loopback for the time of a test."""

    forge = ReleaseForge()
    with answering(forge.handle) as forge.base:
        forge.next_host = forge.base
        yield forge
