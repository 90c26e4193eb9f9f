# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for the REST APIs of GitHub, GitLab and Forgejo, as far as pull requests go; strict about requests.

They know the git server's branches: a pull request wants a head and a base that exist, and one head and base can have
one open pull request only, as on the real ones. Written after the forges' public API documentation.
"""

from __future__ import annotations

import dataclasses
import http.server
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from git_server import TOKEN, GitServer


@dataclasses.dataclass
class Stored:
    """A pull request of the stand-in."""

    number: int
    title: str
    body: str
    head: str
    base: str
    sha: str
    state: str = "open"
    merged: bool = False
    comments: list[str] = dataclasses.field(default_factory=list)


class ForgeServer(http.server.ThreadingHTTPServer):
    """One repository ``owner/name`` on a forge of a kind. ``faults`` has requests that break strictness.

    ``broken``: as in GitServer, called *before* the request is done; ``broken_after``: after it is done.
    """

    daemon_threads = True

    def __init__(self, kind: str, git: GitServer, owner: str, name: str) -> None:
        super().__init__(("127.0.0.1", 0), _HANDLERS[kind])
        self.kind, self.git, self.owner, self.name = kind, git, owner, name
        self.pulls: list[Stored] = []
        self.faults: list[str] = []
        self.calls: list[str] = []
        self.broken: Callable[[str, str], Any] = lambda _method, _path: None
        self.broken_after: Callable[[str, str], Any] = lambda _method, _path: None

    def handle_error(self, request: object, client_address: object) -> None:
        """A killed client's connection is no fault of the server's."""

    @property
    def api(self) -> str:
        prefix = {"github": "", "gitlab": "/api/v4", "forgejo": "/api/v1"}[self.kind]
        return f"http://127.0.0.1:{self.server_address[1]}{prefix}"

    @property
    def open(self) -> dict[str, Stored]:
        """Head → the open pull request."""
        return {pull.head: pull for pull in self.pulls if pull.state == "open"}

    def merge(self, head: str, *, delete_branch: bool = True) -> None:
        """Merges a pull request as a person does: the base gets the head's changes."""
        from git_server import git

        pull = self.open[head]
        folder = self.git.root / f"{self.owner}/{self.name}.git"
        tree = git(folder, "merge-tree", "--write-tree", pull.base, head).splitlines()[0]
        commit = git(folder, "commit-tree", tree, "-p", pull.base, "-p", head, "-m", "Merge")
        git(folder, "update-ref", f"refs/heads/{pull.base}", commit)
        pull.state, pull.merged = "closed", True
        if delete_branch:
            git(folder, "update-ref", "-d", f"refs/heads/{head}")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ForgeServer
    header = ""
    value = ""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PATCH(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        self.server.calls.append(f"{self.command} {self.path}")
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        if self.headers.get(self.header) != self.value:
            return self._answer(401, {"message": "Bad credentials"})
        if broken := self.server.broken(self.command, url.path):
            return self._break(broken)
        if content and self.headers.get("Content-Type") != "application/json":
            self.server.faults.append(f"{self.command} {self.path}: content type")
            return self._answer(415, {"message": "wrong type"})
        query = {key: values[-1] for key, values in parse_qs(url.query, strict_parsing=bool(url.query)).items()}
        status, answer = self.route(self.command, url.path, query, json.loads(content) if content else None)
        if status in (400, 404):
            self.server.faults.append(f"{self.command} {self.path}: {status} {answer}")
        if broken := self.server.broken_after(self.command, url.path):
            return self._break(broken)
        return self._answer(status, answer)

    def _break(self, broken: Any) -> None:
        if broken == "cut":
            self.close_connection = True
            self.connection.close()
            return
        if broken == "rate":
            reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(time.time() + 0.3)[:14]}
            self._answer(403, {"message": "API rate limit exceeded"}, reset)
        elif broken == "long-rate":
            self._answer(429, {"message": "Too many requests"}, {"Retry-After": "3600"})
        else:
            self._answer(int(broken), {"message": "broken"})

    def _answer(self, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def route(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        raise NotImplementedError

    def shown(self, pull: Stored) -> dict[str, Any]:
        raise NotImplementedError

    def _branches(self) -> dict[str, str]:
        return self.server.git.branches(f"{self.server.owner}/{self.server.name}")

    def _make(self, title: Any, body: Any, head: Any, base: Any, already: int) -> tuple[int, Any]:
        if not all(isinstance(text, str) and text for text in (title, head, base)):
            return 400, {"message": "title, head and base are needed"}
        branches = self._branches()
        if head not in branches or base not in branches:
            return 422, {"message": "Validation Failed", "errors": [{"field": "head", "code": "invalid"}]}
        if any(p.head == head and p.base == base and p.state == "open" for p in self.server.pulls):
            return already, {"message": f"A pull request already exists for {self.server.owner}:{head}."}
        number = len(self.server.pulls) + 1
        self.server.pulls.append(Stored(number, title, body or "", head, base, branches[head]))
        return 201, self.shown(self.server.pulls[-1])

    def _page(self, pulls: list[Stored], query: dict[str, str], size: str) -> tuple[int, Any]:
        count, page = int(query.get(size, "30")), int(query.get("page", "1"))
        branches = self._branches()
        for pull in pulls:
            pull.sha = branches.get(pull.head, pull.sha) if pull.state == "open" else pull.sha
        return 200, [self.shown(pull) for pull in pulls[(page - 1) * count : page * count]]

    def _find(self, number: str) -> Stored | None:
        return next((pull for pull in self.server.pulls if pull.number == int(number)), None)


class _GitHub(_Handler):
    header, value = "Authorization", f"Bearer {TOKEN}"

    def shown(self, pull: Stored) -> dict[str, Any]:
        url = f"http://forge/{self.server.owner}/{self.server.name}/pull/{pull.number}"
        return {"number": pull.number, "title": pull.title, "body": pull.body, "state": pull.state, "html_url": url,
                "merged_at": "2026-01-01T00:00:00Z" if pull.merged else None,
                "head": {"ref": pull.head, "sha": pull.sha}, "base": {"ref": pull.base}}  # fmt: skip

    def route(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        prefix = f"/repos/{self.server.owner}/{self.server.name}"
        if not path.startswith(f"{prefix}/"):
            return 404, {"message": "Not Found"}
        rest = path.removeprefix(prefix)
        if self.headers.get("Accept") != "application/vnd.github+json":
            return 400, {"message": "Accept"}
        if rest == "/pulls" and method == "GET":
            allowed = {"state", "head", "base", "per_page", "page", "sort", "direction"}
            if set(query) - allowed or int(query["per_page"]) > 100 or query["state"] not in ("open", "closed", "all"):
                return 400, {"message": f"query {query}"}
            if "head" in query and not query["head"].startswith(f"{self.server.owner}:"):
                return 200, []
            head = query.get("head", "").partition(":")[2]
            found = [p for p in self.server.pulls if query["state"] in ("all", p.state)]
            found = [p for p in found if p.base == query.get("base", p.base) and p.head in (head or p.head,)]
            return self._page(found, query, "per_page")
        if rest == "/pulls" and method == "POST":
            if set(body) - {"title", "head", "base", "body", "maintainer_can_modify", "draft"}:
                return 400, {"message": "unknown fields"}
            return self._make(body.get("title"), body.get("body"), body.get("head"), body.get("base"), 422)
        if (found_one := re.fullmatch(r"/pulls/(\d+)", rest)) and method == "PATCH":
            pull = self._find(found_one[1])
            if pull is None or body != {"state": "closed"}:
                return 400, {"message": "patch"}
            pull.state = "closed"
            return 200, self.shown(pull)
        if (found_one := re.fullmatch(r"/issues/(\d+)/comments", rest)) and method == "POST":
            pull = self._find(found_one[1])
            if pull is None or set(body) != {"body"}:
                return 400, {"message": "comment"}
            pull.comments.append(body["body"])
            return 201, {"id": 1}
        return 404, {"message": "Not Found"}


class _Forgejo(_GitHub):
    header, value = "Authorization", f"token {TOKEN}"

    def shown(self, pull: Stored) -> dict[str, Any]:
        return {**super().shown(pull), "merged": pull.merged}

    def route(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        path = path.removeprefix("/api/v1")
        if path == f"/repos/{self.server.owner}/{self.server.name}/pulls":
            if method == "GET":
                if set(query) - {"state", "page", "limit", "sort"} or int(query["limit"]) > 50:
                    return 400, {"message": f"query {query}"}
                found = [p for p in self.server.pulls if query["state"] in ("all", p.state)]
                return self._page(found, query, "limit")
            if set(body) - {"title", "head", "base", "body"}:
                return 400, {"message": "unknown fields"}
            return self._make(body.get("title"), body.get("body"), body.get("head"), body.get("base"), 409)
        self.headers.replace_header("Accept", "application/vnd.github+json")
        return super().route(method, path, query, body)


class _GitLab(_Handler):
    header, value = "PRIVATE-TOKEN", TOKEN

    def shown(self, pull: Stored) -> dict[str, Any]:
        state = "merged" if pull.merged else {"open": "opened"}.get(pull.state, pull.state)
        return {"iid": pull.number, "id": 1000 + pull.number, "title": pull.title, "description": pull.body,
                "state": state, "source_branch": pull.head, "target_branch": pull.base, "sha": pull.sha,
                "web_url": f"http://forge/-/merge_requests/{pull.number}"}  # fmt: skip

    def route(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        prefix = "/api/v4/projects/"
        project, _, rest = path.removeprefix(prefix).partition("/")
        if not path.startswith(prefix) or unquote(project) != f"{self.server.owner}/{self.server.name}":
            return 404, {"message": "404 Project Not Found"}
        if rest == "merge_requests" and method == "GET":
            allowed = {"state", "source_branch", "target_branch", "per_page", "page", "order_by", "sort"}
            if set(query) - allowed or query["state"] not in ("opened", "closed", "merged", "all"):
                return 400, {"message": f"query {query}"}
            found = [p for p in self.server.pulls if query["state"] in ("all", self.shown(p)["state"])]
            found = [p for p in found if p.base == query.get("target_branch", p.base)]
            return self._page([p for p in found if p.head == query.get("source_branch", p.head)], query, "per_page")
        if rest == "merge_requests" and method == "POST":
            if set(body) - {"title", "source_branch", "target_branch", "description", "allow_collaboration"}:
                return 400, {"message": "unknown fields"}
            words = (body.get("title"), body.get("description"), body.get("source_branch"), body.get("target_branch"))
            return self._make(*words, 409)
        if (found_one := re.fullmatch(r"merge_requests/(\d+)(/notes)?", rest)) and (pull := self._find(found_one[1])):
            if found_one[2] and method == "POST" and set(body) == {"body"}:
                pull.comments.append(body["body"])
                return 201, {}
            if method == "PUT" and body == {"state_event": "close"}:
                pull.state = "closed"
                return 200, self.shown(pull)
        return 404, {"message": "404 Not Found"}


_HANDLERS = {"github": _GitHub, "gitlab": _GitLab, "forgejo": _Forgejo}
