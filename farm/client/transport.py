# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings one file of a wagon, of whatever type the repository is, from the first of its URLs that has it."""

from __future__ import annotations

import threading
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from farm.client.config import ClientConfig, RepositoryConfig
from farm.spec.problem import FarmError, Problem, error
from farm.store.download import Say, check_cancel, download

ROUNDS = 4
"""Times that all URLs of a repository are tried while a failure may pass."""

_FIRST_DELAY, _LONGEST_DELAY = 0.3, 10.0


def bring(
    config: ClientConfig, repository: RepositoryConfig, name: str, part: Path, cancel: threading.Event, say: Say
) -> None:
    """Makes ``part`` hold the file ``name`` of a wagon. What ``part`` has already is continued where that can be.

    Nothing is verified here. FarmError ``download-failed`` with what each URL said, ``cancelled``; ``transient`` when
    one of the failures may pass, which has been tried `ROUNDS` times.
    """
    import tenacity

    if not repository.urls:
        raise error("download-failed", f"repository {repository.name} has no URL")
    tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda fault: isinstance(fault, FarmError) and fault.transient),
        stop=tenacity.stop_after_attempt(ROUNDS) | tenacity.stop_when_event_set(cancel),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_DELAY, max=_LONGEST_DELAY),
        sleep=tenacity.sleep_using_event(cancel),
        reraise=True,
    )(_round, config, repository, name, part, cancel, say)


def authorization(repository: RepositoryConfig) -> dict[str, str]:
    """The headers that a repository's ``auth`` makes: ``token`` or ``basic`` (which is base64 already)."""
    for key, word in (("token", "token"), ("basic", "Basic")):
        if repository.auth.get(key):
            return {"Authorization": f"{word} {repository.auth[key]}"}
    return {}


def _round(
    config: ClientConfig, repository: RepositoryConfig, name: str, part: Path, cancel: threading.Event, say: Say
) -> None:
    failures: list[tuple[str, FarmError]] = []
    for url in repository.urls:
        check_cancel(cancel)
        try:
            _WAYS[repository.type](config, repository, url, name, part, cancel, say)
            return
        except FarmError as failure:
            check_cancel(cancel)
            failures.append((url, failure))
    said = "".join(f"\n  {url}: {failure.problems[0].message}" for url, failure in failures)
    problem = Problem("download-failed", f"no URL of repository {repository.name} has {name}:{said}")
    raise FarmError(problem, transient=any(failure.transient for _, failure in failures))


def _by_http(
    config: ClientConfig,
    repository: RepositoryConfig,
    url: str,
    name: str,
    part: Path,
    cancel: threading.Event,
    say: Say,
) -> None:
    where = f"{url.rstrip('/')}/{urllib.parse.quote(name)}"
    enough = threading.Event()
    timer = threading.Timer(config.timeout, enough.set)
    timer.daemon = True
    timer.start()
    try:
        download(where, part, _Either(cancel, enough), say, headers=authorization(repository), insecure=config.insecure)
    except FarmError as failure:
        if failure.code == "cancelled" and enough.is_set() and not cancel.is_set():
            raise error("download-failed", f"it took longer than {config.timeout:.0f} s (client_timeout)") from failure
        raise
    finally:
        timer.cancel()


class _Either(threading.Event):
    """Set when one of two is."""

    def __init__(self, one: threading.Event, other: threading.Event) -> None:
        super().__init__()
        self._events = (one, other)

    def is_set(self) -> bool:
        """Whether one of them is set."""
        return any(event.is_set() for event in self._events)


def _from_disk(
    config: ClientConfig,
    repository: RepositoryConfig,
    url: str,
    name: str,
    part: Path,
    cancel: threading.Event,
    say: Say,
) -> None:
    part.unlink(missing_ok=True)
    download((Path(url) / name).absolute().as_uri(), part, cancel, say)


def _from_image(
    config: ClientConfig,
    repository: RepositoryConfig,
    url: str,
    name: str,
    part: Path,
    cancel: threading.Event,
    say: Say,
) -> None:
    from farm.client.oci import bring_from_image

    bring_from_image(url, name, part, repository.auth, insecure=config.insecure)


_Way = Callable[[ClientConfig, RepositoryConfig, str, str, Path, threading.Event, Say], None]
_WAYS: dict[str, _Way] = {"http": _by_http, "disk": _from_disk, "docker": _from_image}
