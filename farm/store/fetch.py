# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings sources into the store. Nothing is used before its sha256 is known to be right."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING

from farm.plan.job import Digest, Fetch
from farm.spec.problem import FarmError, Problem, error
from farm.store import apt
from farm.store.download import Say, check_cancel, download, download_by_apt

if TYPE_CHECKING:
    from farm.store.store import Store

APT = "apt:"
_MISMATCH = "source-digest-mismatch"
_ROUNDS = 4
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 15.0


def fetch(action: Fetch, store: Store, log: Path | None, cancel: threading.Event) -> Digest:
    """The blob of ``action``, brought from the first of its URLs that has it as it should be.

    What a broken download left is kept in the store's folder ``partial`` and continued. FarmError
    ``source-digest-mismatch``, ``source-unavailable`` (each names all URLs and what they said), ``cancelled``.
    """
    if store.has_blob(action.sha256):
        return action.sha256
    with _lock(store, f"fetch-{action.sha256}", cancel), _log(log) as say:
        if not store.has_blob(action.sha256):
            _promptly(lambda: _Fetching(action, store, cancel, say).run(), cancel)
    return action.sha256


@dataclasses.dataclass(slots=True)
class _Place:
    """One address to try, and what it said last."""

    url: str
    by_apt: bool = False
    failure: FarmError | None = None

    @property
    def hopeless(self) -> bool:
        return self.failure is not None and not self.failure.transient


class _Fetching:
    """All places of one source, tried in order; in rounds, as long as one of them may do better next time."""

    def __init__(self, action: Fetch, store: Store, cancel: threading.Event, say: Say) -> None:
        self.action = action
        self.store = store
        self.cancel = cancel
        self.say = say
        self.places = [place for url in action.urls for place in _places(url)]
        folder = store.root / "partial"
        folder.mkdir(exist_ok=True)
        self.part = folder / action.sha256

    def run(self) -> None:
        import tenacity

        tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda fault: isinstance(fault, FarmError) and fault.transient),
            stop=tenacity.stop_after_attempt(_ROUNDS) | tenacity.stop_when_event_set(self.cancel),
            wait=tenacity.wait_random_exponential(multiplier=_FIRST_DELAY, max=_LONGEST_DELAY),
            sleep=tenacity.sleep_using_event(self.cancel),
            reraise=True,
        )(self._round)

    def _round(self) -> None:
        for place in self.places:
            check_cancel(self.cancel)
            if not place.hopeless and self._brings(place):
                return
        raise self._failed()

    def _brings(self, place: _Place) -> bool:
        """Whether the place gave the right bytes. A wrong file that was continued is tried once more as a whole."""
        for _ in range(2):
            continued = self.part.exists()
            self.say(f"fetching {place.url}")
            try:
                self._download(place)
                self._accept()
                return True
            except FarmError as failure:
                check_cancel(self.cancel)
                self.say(f"  {failure.problems[0].message}")
                place.failure = failure
                if failure.code != _MISMATCH or not continued:
                    break
        return False

    def _download(self, place: _Place) -> None:
        if place.by_apt:
            download_by_apt(place.url, self.action.sha256, self.part, self.cancel)
        else:
            download(place.url, self.part, self.cancel, self.say)

    def _accept(self) -> None:
        """Takes the complete file into the store. FarmError ``source-digest-mismatch``."""
        size = self.part.stat().st_size
        wanted = self.action.size
        try:
            if wanted is not None and size != wanted:
                raise error(_MISMATCH, f"{size} bytes, expected {wanted}")
            self.store.put_blob(self.part, self.action.sha256)
        except FarmError as failure:
            raise error(_MISMATCH, failure.problems[0].message) from failure
        finally:
            self.part.unlink(missing_ok=True)
        self.say(f"  {size} bytes, sha256 {self.action.sha256}")

    def _failed(self) -> FarmError:
        failures = [(place, place.failure) for place in self.places if place.failure]
        mismatch = any(failure.code == _MISMATCH for _, failure in failures)
        said = "".join(f"\n  {place.url}: {failure.problems[0].message}" for place, failure in failures)
        message = f"no place has the source with sha256 {self.action.sha256}:{said or ' it has no URL'}"
        hint = "add `mirrors` to the source in build.yaml, or put the file somewhere and name it as file:///…"
        if mismatch:
            hint = "compare `sha256` in `sources` with what upstream publishes"
        transient = any(failure.transient for _, failure in failures)
        return FarmError(
            Problem(_MISMATCH if mismatch else "source-unavailable", message, hint=hint), transient=transient
        )


def _places(url: str) -> list[_Place]:
    """What a URL stands for: ``apt:`` for that path below each of the host's own archives."""
    if not url.startswith(APT):
        return [_Place(url)]
    path = url.removeprefix(APT)
    found = [_Place(f"{mirror}/{path}", by_apt=True) for mirror in apt.mirrors()] if apt.HELPER.exists() else []
    nowhere = error("download-failed", "this host's apt names no archive of its release")
    return found or [_Place(url, failure=nowhere)]


def _promptly(work: Callable[[], None], cancel: threading.Event) -> None:
    """Does ``work`` in a thread of its own, so that a silent server cannot delay a cancel.

    A thread left behind writes nothing more: it looks at ``cancel`` before each write, and ends with its server's
    time-out.
    """
    done: Future[None] = Future()

    def run() -> None:
        try:
            work()
            done.set_result(None)
        except BaseException as fault:  # noqa: BLE001  handed to the thread that waits
            done.set_exception(fault)

    threading.Thread(target=run, name="fetch", daemon=True).start()
    while not wait([done], timeout=0.1).done:
        check_cancel(cancel)
    done.result()


@contextlib.contextmanager
def _lock(store: Store, name: str, cancel: threading.Event) -> Iterator[None]:
    """A store-wide lock whose wait can be cancelled."""
    while True:
        with store.lock(name, wait=False) as held:
            if held:
                yield
                return
        check_cancel(cancel)
        cancel.wait(0.05)


@contextlib.contextmanager
def _log(path: Path | None) -> Iterator[Say]:
    if path is None:
        yield lambda line: None
        return
    with open(path, "a", encoding="utf-8", buffering=1) as out:

        def say(line: str) -> None:
            with contextlib.suppress(ValueError):  # the file is closed: a cancelled download has the last word
                out.write(line + "\n")

        yield say
