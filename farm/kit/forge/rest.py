# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls a forge's REST API: token in a header, time limits, rate limits waited for, server errors tried again.

A call that makes something is not repeated blindly: after a server error the forge is asked whether it is there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from farm.kit.forge.interface import Pull
from farm.spec.problem import FarmError, error

ATTEMPTS = 4
LONGEST_WAIT = 120.0
"""Seconds that are waited at the most for a rate limit; a longer one ends the run."""

MAX_ANSWER = 32 << 20
_LIMIT = (15, 60)
"""Seconds to connect, and between two pieces of an answer."""

Params = Mapping[str, str | int]


class Rest:
    """One API. ``base`` has no slash at its end; ``token`` is sent as ``scheme token``, or in ``header``."""

    def __init__(self, base: str, header: Mapping[str, str], *, pause: float = 1.0) -> None:
        import requests

        if not re.match(r"https?://[^/]+", base):
            raise error("bad-forge-url", f"{base!r} is not the URL of an API", hint="https://host/api/…")
        self._base = base.rstrip("/")
        self._pause = pause
        self._session = requests.Session()
        self._session.trust_env = True
        self._session.headers.update({"User-Agent": "farm-kit", "Accept": "application/json", **header})

    def get(self, path: str, params: Params | None = None) -> Any:
        """A document. See `Forge` for errors."""
        return self._again("GET", path, params=params)[0]

    def pages(self, path: str, params: Params, *, size: int = 100, most: int = 1000) -> Iterator[Any]:
        """Every element of a list that comes in pages (``page``; the forges stop with an empty or short one)."""
        for page in range(1, most + 1):
            part = self.get(path, {**params, "page": page})
            yield from part
            if len(part) < size:
                return

    def send(self, method: str, path: str, body: Mapping[str, Any], *, repeat: bool = False) -> Any:
        """Sends a document. ``repeat``: doing it twice is the same as once."""
        return self._again(method, path, body=body, repeat=repeat)[0]

    def _again(
        self, method: str, path: str, *, params: Params | None = None, body: Any = None, repeat: bool = True
    ) -> tuple[Any, int]:
        import tenacity

        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, _Again) and (repeat or e.not_done)),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=_wait(self._pause),
            reraise=True,
        )
        try:
            answer: tuple[Any, int] = retry(self._once, method, path, params, body)
        except _Again as failure:
            raise error("forge-unreachable", f"{method} {self._base}{path}: {failure}", transient=True) from None
        return answer

    def _once(self, method: str, path: str, params: Params | None, body: Any) -> tuple[Any, int]:
        import requests

        url = self._base + path
        try:
            answer = self._session.request(
                method, url, params=dict(params or {}), json=body, timeout=_LIMIT, allow_redirects=False, stream=True
            )
            content = _content(answer)
        except requests.RequestException as problem:
            connecting = isinstance(problem, requests.exceptions.ConnectTimeout)
            raise _Again(type(problem).__name__, not_done=connecting) from None
        return _judge(answer, content, f"{method} {url}")


class _Again(Exception):
    """Worth another try. ``not_done``: the forge surely did nothing. ``wait``: seconds that it asks for."""

    def __init__(self, message: str, *, not_done: bool = False, wait: float = 0.0) -> None:
        super().__init__(message)
        self.not_done, self.wait = not_done, wait


def _wait(pause: float) -> Callable[[Any], float]:
    def seconds(state: Any) -> float:
        failure = state.outcome.exception()
        asked = failure.wait if isinstance(failure, _Again) else 0.0
        return float(asked or min(30.0, pause * 2 ** (state.attempt_number - 1)))

    return seconds


def _content(answer: Any) -> bytes:
    content = b""
    for chunk in answer.iter_content(1 << 16):
        content += chunk
        if len(content) > MAX_ANSWER:
            raise error("forge-refused", f"the forge's answer is larger than {MAX_ANSWER >> 20} MiB")
    return content


def _judge(answer: Any, content: bytes, what: str) -> tuple[Any, int]:
    import json

    status = answer.status_code
    if status in (429, 403) and (wait := _rate_limit(answer.headers, content)) is not None:
        if wait > LONGEST_WAIT:
            raise error("forge-rate-limit", f"{what}: the forge's rate limit is used up for {wait:.0f} s",
                        hint="run again later: what is done stays done", transient=True)  # fmt: skip
        raise _Again("rate limit", not_done=True, wait=max(wait, 0.05))
    if status >= 500:
        raise _Again(f"status {status}")
    if status in (401, 403):
        raise error("forge-token", f"{what}: the token is missing or is not allowed to do this (status {status})",
                    hint="set GITHUB_TOKEN, GITLAB_TOKEN or FORGEJO_TOKEN")  # fmt: skip
    if not 200 <= status < 300:
        said = content[:300].decode("utf-8", "replace")
        raise Refused(status, f"{what}: status {status}: {said}")
    try:
        return (json.loads(content) if content else None), status
    except ValueError:
        raise _Again("the answer is no JSON") from None


class Refused(FarmError):
    """The forge says no. ``status`` is HTTP's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(error("forge-refused", message).problems)
        self.status = status


def _rate_limit(headers: Mapping[str, str], content: bytes) -> float | None:
    """Seconds to wait; None when the answer is no rate limit (GitHub answers 403 for both)."""
    if after := headers.get("Retry-After"):
        return float(after) if after.isdigit() else 60.0
    if headers.get("X-RateLimit-Remaining") == "0" or headers.get("RateLimit-Remaining") == "0":
        reset = headers.get("X-RateLimit-Reset") or headers.get("RateLimit-Reset") or "0"
        return max(0.0, float(reset) - time.time()) if reset.replace(".", "").isdigit() else 60.0
    return 60.0 if b"rate limit" in content.lower() else None


def make_once(make: Callable[[], Pull], find: Callable[[], list[Pull]], already: int) -> Pull:
    """Makes a pull request, or finds the one that is open: where the answer was lost, or the forge says ``already``.

    ``already``: the status with which the forge says that there is one. Raises what ``make`` raises.
    """
    try:
        return make()
    except FarmError as failure:
        unclear = failure.transient or (isinstance(failure, Refused) and failure.status == already)
        there = [pull for pull in find() if pull.state == "open"] if unclear else []
        if there:
            return there[0]
        raise
