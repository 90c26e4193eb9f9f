# SPDX-License-Identifier: GPL-3.0-or-later
"""Small documents from the network: APIs and HTML pages. Conditional, patient, bounded, and asked for once a run.

What a server gave with an ETag or a time is kept in a folder and asked for conditionally the next time (RFC 9110, 13).
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from farm.kit.autogen.access import Tokens
from farm.kit.distfiles.patience import patiently
from farm.spec.problem import FarmError, error

if TYPE_CHECKING:
    import requests

MAX_BODY = 64 << 20
"""Bytes of the largest document that is taken."""

_TIMEOUT = (15.0, 60.0)
_PASSING = frozenset((408, 425, 500, 502, 503, 504))
_KEPT_HEADERS = ("link", "x-next-page", "content-type")


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """What an address has. ``url`` is where it was found in the end; names of headers are in lower case."""

    url: str
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        """The body as JSON; numbers with a point stay text, so that 1.10 is not 1.1. FarmError ``bad-json``."""
        try:
            return json.loads(self.body, parse_float=str)
        except (ValueError, RecursionError) as fault:
            raise error("bad-json", f"{self.url}: the answer is no JSON: {fault}") from None

    def text(self) -> str:
        """The body as text; what is no UTF-8 is replaced."""
        return self.body.decode("utf-8", "replace")

    @property
    def next_page(self) -> bool:
        """Whether there is another page (RFC 8288 Link header, or GitLab's)."""
        return 'rel="next"' in self.headers.get("link", "") or bool(self.headers.get("x-next-page"))


class Web:
    """All small requests of one run. Thread-safe.

    ``cache``: a folder, or None. ``patience``: how many seconds at most are waited for a rate limit to pass.
    """

    def __init__(
        self,
        cache: Path | None,
        tokens: Tokens,
        *,
        cancel: threading.Event | None = None,
        patience: float = 60.0,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.cache = cache
        self.tokens = tokens
        self.cancel = cancel or threading.Event()
        self.patience = patience
        self.say = say
        self.asked = 0
        self._locks: dict[str, threading.Lock] = {}
        self._mutex = threading.Lock()
        self._seen: dict[str, Document] = {}
        if cache:
            cache.mkdir(parents=True, exist_ok=True)

    def get(
        self,
        url: str,
        params: Mapping[str, str | int] | None = None,
        *,
        method: str = "GET",
        accept: str = "*/*",
        user_agent: str = "",
    ) -> Document:
        """The document at ``url``.

        FarmError ``not-found``, ``request-failed`` (``transient`` when another try may help), ``rate-limited``,
        ``too-large``, ``bad-url``, ``cancelled``. The message has no token.
        """
        address = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}" if params else url
        if urlsplit(address).scheme not in ("http", "https"):
            raise error("bad-url", f"{address}: only http and https are asked")
        key = hashlib.sha256(f"{method} {accept} {user_agent} {address}".encode()).hexdigest()
        with self._mutex:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._seen:
                headers = {"Accept": accept, "User-Agent": user_agent or "farm"}
                self._seen[key] = patiently(lambda: self._once(method, address, headers, key), self.cancel)
        return self._seen[key]

    def _once(self, method: str, address: str, headers: Mapping[str, str], key: str) -> Document:
        import requests
        import urllib3

        if self.cancel.is_set():
            raise error("cancelled", "the request was cancelled")
        kept = self._kept(key)
        sent = {**headers, **(kept.conditions if kept else {})}
        if token := self.tokens.for_url(address):
            sent["Authorization"] = f"Bearer {token}"
        self.asked += 1
        try:
            with requests.request(method, address, headers=sent, timeout=_TIMEOUT, stream=True) as response:
                return self._answer(response, address, kept, key)
        except (
            requests.ConnectionError,
            requests.Timeout,
            requests.exceptions.ChunkedEncodingError,
            urllib3.exceptions.HTTPError,
        ) as fault:
            raise self._failed(address, str(fault), transient="resolve" not in str(fault)) from None
        except requests.exceptions.InvalidSchema as fault:
            raise error("bad-url", self.tokens.hide(f"{address} leads to what is not asked: {fault}")) from None
        except (requests.RequestException, OSError) as fault:
            raise self._failed(address, str(fault)) from None

    def _answer(self, response: requests.Response, address: str, kept: _Kept | None, key: str) -> Document:
        if response.status_code == 304 and kept:
            return kept.document
        if response.status_code == 200:
            headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
            document = Document(response.url, self._body(response, address), headers)
            self._keep(key, document, response.headers)
            return document
        if response.status_code in (404, 410):
            raise error("not-found", f"{address}: HTTP {response.status_code}")
        if (wait := _limit(response)) is not None:
            return self._wait(address, wait)
        status = response.status_code
        hint = "give a token for this host" if status in (401, 403) else ""
        raise self._failed(address, f"HTTP {status} {response.reason}", transient=status in _PASSING, hint=hint)

    def _wait(self, address: str, seconds: float) -> Document:
        """Waits until the limit is over and has the request made again; or gives up at once when that is too long."""
        host = urlsplit(address).netloc
        if seconds > self.patience:
            hint = "give a token for this host (environment or configuration), or run again then"
            message = f"{host} allows no more requests for {seconds:.0f} seconds"
            raise error("rate-limited", message, hint=hint)
        self.say(f"{host} allows no more requests for {seconds:.0f} seconds: waiting")
        self.cancel.wait(seconds)
        raise error("rate-limited", f"{host} still allows no more requests", transient=True)

    def _body(self, response: requests.Response, address: str) -> bytes:
        body = bytearray()
        for piece in response.iter_content(1 << 16):
            body += piece
            if len(body) > MAX_BODY:
                raise error("too-large", f"{address}: the answer is larger than {MAX_BODY >> 20} MiB")
        return bytes(body)

    def _failed(self, address: str, reason: str, *, transient: bool = False, hint: str = "") -> FarmError:
        return error("request-failed", self.tokens.hide(f"{address}: {reason}"), transient=transient, hint=hint)

    def _kept(self, key: str) -> _Kept | None:
        if self.cache is None:
            return None
        try:
            return _Kept.of(json.loads((self.cache / key).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _keep(self, key: str, document: Document, headers: Mapping[str, str]) -> None:
        validators = {name: headers[name] for name in ("ETag", "Last-Modified") if headers.get(name)}
        if self.cache is None or not validators:
            return
        from farm.spec.whole import write_whole

        body = base64.b64encode(document.body).decode()
        data = {"url": document.url, "headers": dict(document.headers), "validators": validators, "body": body}
        write_whole(self.cache / key, json.dumps(data).encode())


@dataclasses.dataclass(frozen=True, slots=True)
class _Kept:
    """A document of an earlier run, and the conditions under which it is still good."""

    document: Document
    conditions: Mapping[str, str]

    @staticmethod
    def of(data: Mapping[str, Any]) -> _Kept:
        names = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
        conditions = {names[name]: str(value) for name, value in data["validators"].items()}
        return _Kept(Document(data["url"], base64.b64decode(data["body"]), data["headers"]), conditions)


def _limit(response: requests.Response) -> float | None:
    """For how many seconds a server takes no more requests; None when that is not what it says."""
    if response.status_code not in (403, 429):
        return None
    after = response.headers.get("Retry-After", "")
    if after.isdigit():
        return float(after)
    if response.headers.get("X-RateLimit-Remaining") == "0" or response.status_code == 429:
        reset = response.headers.get("X-RateLimit-Reset", "")
        return max(float(reset) - time.time(), 0.0) + 1 if reset.isdigit() else 30.0
    return None
