# SPDX-License-Identifier: GPL-3.0-or-later
"""What a forge knows of a project's releases, tags and branches, through GitHub's REST API.

Source: docs.github.com, "REST API endpoints for releases", "for repositories" (tags), "for Git references", "for
commits", version 2022-11-28. Forgejo and Gitea answer the first two in the same form below ``/api/v1``.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from farm.spec.problem import FarmError, error

if TYPE_CHECKING:
    import requests

GITHUB = "https://api.github.com"
PAGE = 100
MAX_PAGES = 50
"""Pages of `PAGE` tags that are read. A project with more needs ``autobump.strategy: release`` or a version hook."""
MAX_ANSWER = 16 << 20
"""Bytes of one answer."""

_TRIES = 3
_DELAY = 0.5
_TIMEOUT = (15.0, 30.0)
_TOTAL = 120.0
_PASSING = frozenset({429, 500, 502, 503, 504})


class Forge:
    """One API. `Forge` may be asked from several threads at once.

    When it says that there were too many requests, nothing more is asked of it: all later calls raise
    ``forge-rate-limit`` at once.
    """

    def __init__(self, base: str = GITHUB, token: str = "", sleep: Callable[[float], object] = time.sleep) -> None:
        self.base = base.rstrip("/")
        if urllib.parse.urlsplit(self.base).scheme not in ("http", "https"):
            raise error("bad-url", f"{base!r} is no http(s) URL of an API", hint=f"for example {GITHUB}")
        self._token = token
        self._sleep = sleep
        self._limited: FarmError | None = None
        self._local = threading.local()

    def latest_release(self, owner: str, repo: str) -> str:
        """The tag of the latest release that is no draft and no pre-release. FarmError ``no-release``, ``forge-…``."""
        return self._tag_name(f"/repos/{owner}/{repo}/releases/latest")

    def release(self, owner: str, repo: str, tag: str) -> str:
        """The tag of the release that was made for ``tag``. FarmError as `latest_release`."""
        return self._tag_name(f"/repos/{owner}/{repo}/releases/tags/{urllib.parse.quote(tag, safe='')}")

    def tags(self, owner: str, repo: str) -> list[str]:
        """The names of all tags. FarmError ``forge-…``."""
        items = self._pages(f"/repos/{owner}/{repo}/tags?per_page={PAGE}")
        return [_text(item, "name", owner, repo) for item in items]

    def refs(self, owner: str, repo: str) -> list[str]:
        """The names of all tags, as git references. FarmError ``forge-…``."""
        items = self._pages(f"/repos/{owner}/{repo}/git/matching-refs/tags/?per_page={PAGE}")
        return [_text(item, "ref", owner, repo).removeprefix("refs/tags/") for item in items]

    def head(self, owner: str, repo: str, branch: str) -> tuple[str, str]:
        """The newest commit of a branch (empty: the default one) and its day, as YYYYMMDD. FarmError ``forge-…``."""
        data = self._get(f"/repos/{owner}/{repo}/commits/{urllib.parse.quote(branch or 'HEAD', safe='')}")[0]
        sha = _text(data, "sha", owner, repo)
        try:
            day = str(data["commit"]["committer"]["date"])[:10].replace("-", "")
        except (KeyError, TypeError) as fault:
            raise _odd(owner, repo, "commit.committer.date") from fault
        if not (day.isdecimal() and len(day) == 8 and sha.isalnum()):
            raise _odd(owner, repo, "commit.committer.date")
        return sha, day

    def _tag_name(self, path: str) -> str:
        owner, repo = path.split("/")[2:4]
        return _text(self._get(path)[0], "tag_name", owner, repo)

    def _pages(self, path: str) -> list[Any]:
        found: list[Any] = []
        for _ in range(MAX_PAGES):
            data, following = self._get(path)
            if not isinstance(data, list):
                owner, repo = path.split("/")[2:4]
                raise _odd(owner, repo, "a list")
            found += data
            if following is None:
                return found
            path = following
        hint = "use autobump.strategy release, or a version hook that asks for less"
        raise error("forge-too-many", f"{self.base}{path} goes on after {MAX_PAGES} pages of {PAGE}", hint=hint)

    def _get(self, path: str) -> tuple[Any, str | None]:
        """The JSON document of a path, and the path of the next page. FarmError ``forge-…``."""
        for attempt in range(_TRIES):
            if self._limited:
                raise self._limited
            try:
                return self._once(path)
            except FarmError as failure:
                if not failure.transient or attempt == _TRIES - 1:
                    raise
            self._sleep(_DELAY * 2**attempt)
        raise AssertionError("the last try returns or raises")

    def _once(self, path: str) -> tuple[Any, str | None]:
        import requests

        url = f"{self.base}{path}"
        try:
            with self._session().get(url, headers=self._headers(), stream=True, timeout=_TIMEOUT) as response:
                self._check(response, url)
                return _json(_body(response, url), url), self._following(response)
        except (requests.ConnectionError, requests.Timeout) as fault:
            raise error("forge-unreachable", f"{url}: {_reason(fault)}", transient=True) from fault
        except requests.RequestException as fault:
            raise error("forge-unreachable", f"{url}: {fault}") from fault

    def _session(self) -> requests.Session:
        """One for each thread: requests does not say that sessions may be shared."""
        import requests

        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.max_redirects = 3
        session: requests.Session = self._local.session
        return session

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "application/vnd.github+json",
            "Accept-Encoding": "identity",
            "User-Agent": "farm",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        return headers | ({"Authorization": f"Bearer {self._token}"} if self._token else {})

    def _check(self, response: requests.Response, url: str) -> None:
        status = response.status_code
        if status == 200:
            return
        if status == 429 or (status == 403 and _is_limit(response.headers)):
            self._limited = _limit(response.headers, self.base)
            raise self._limited
        said = f"{url}: HTTP {status} {response.reason}"
        if status == 404:
            hint = "compare the labels github.owner and github.repo; a private project needs GITHUB_TOKEN"
            raise error("forge-not-found", said, hint=hint)
        if status == 401:
            raise error("forge-refused", said, hint="GITHUB_TOKEN is not, or no longer, valid")
        raise error("forge-failed", said, transient=status in _PASSING)

    def _following(self, response: requests.Response) -> str | None:
        """The path of the next page (RFC 8288), which has to be on the same API."""
        url = response.links.get("next", {}).get("url")
        if url is None:
            return None
        if not url.startswith(f"{self.base}/"):
            raise error("forge-failed", f"{self.base} sends to another host for its next page: {url}")
        return url.removeprefix(self.base)


def _body(response: requests.Response, url: str) -> bytes:
    """The whole body, of at most `MAX_ANSWER` bytes, within `_TOTAL` seconds."""
    content = bytearray()
    end = time.monotonic() + _TOTAL
    for part in response.iter_content(1 << 16):
        content += part
        if len(content) > MAX_ANSWER or time.monotonic() > end:
            raise error("forge-too-many", f"{url}: the answer is longer than {MAX_ANSWER >> 20} MiB, or does not end")
    return bytes(content)


def _json(content: bytes, url: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as fault:
        raise error("forge-failed", f"{url}: the answer is no JSON", transient=True) from fault


def _text(data: Any, key: str, owner: str, repo: str) -> str:
    value = data.get(key) if isinstance(data, dict) else None
    if not isinstance(value, str) or not value:
        raise _odd(owner, repo, key)
    return value


def _odd(owner: str, repo: str, what: str) -> FarmError:
    return error("forge-failed", f"the forge's answer for {owner}/{repo} lacks {what}")


def _is_limit(headers: Mapping[str, str]) -> bool:
    return headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers


def _limit(headers: Mapping[str, str], base: str) -> FarmError:
    reset, after = headers.get("x-ratelimit-reset", ""), headers.get("retry-after", "")
    when = ""
    if reset.isdecimal():
        when = f"; it answers again at {time.strftime('%H:%M:%S UTC', time.gmtime(int(reset)))}"
    elif after.isdecimal():
        when = f"; it answers again in {after} s"
    hint = "set GITHUB_TOKEN: requests without one are limited to a few in an hour"
    return error("forge-rate-limit", f"{base} takes no more requests for now{when}", hint=hint)


def _reason(fault: Exception) -> str:
    inner: Any = fault
    while getattr(inner, "args", None) and isinstance(inner.args[0], Exception):
        inner = inner.args[0]
    return str(getattr(inner, "reason", None) or inner).rpartition(">: ")[2] or type(fault).__name__
