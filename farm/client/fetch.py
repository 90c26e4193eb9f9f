# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings packages into the cache, several at a time. None is used before its sha256 is known to be right.

In the cache (``packages/``) a package lies under its digest, ``sha256/DIGEST``, and, as in anise's, under its file
name: a rebuilt package of the same name is another one. What anise left there is used when its digest is right.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

from farm.client.change import Candidate
from farm.client.config import ClientConfig
from farm.client.progress import Progress, Report, nobody
from farm.client.transport import bring
from farm.spec.model import PackageId
from farm.spec.problem import FarmError, error
from farm.store.download import check_cancel

_TICK = 0.1
_CHUNK = 1 << 20


def fetch_packages(
    candidates: Sequence[Candidate],
    config: ClientConfig,
    *,
    report: Report = nobody,
    cancel: threading.Event | None = None,
    keep: bool = False,
) -> dict[PackageId, Path]:
    """Verified tarballs of all ``candidates``. Those of a disk repository are used where they lie, unless ``keep``.

    FarmError ``package-digest-mismatch``, ``download-failed``, ``cancelled``: the first that is met stops the rest.
    """
    fetching = _Fetching(config, report, cancel or threading.Event(), keep)
    return fetching.all(candidates)


def forget_packages(config: ClientConfig) -> tuple[int, int]:
    """Empties the cache: the number of packages that were in it, and their bytes on the disk."""
    found: dict[int, int] = {}
    for path in list(_files(config.packages_cache)):
        info = path.lstat()
        found[info.st_ino] = info.st_size
        path.unlink()
    return len(found), sum(found.values())


def _files(folder: Path) -> Iterator[Path]:
    for place in (folder, folder / "sha256"):
        if place.is_dir():
            yield from (path for path in place.iterdir() if not path.is_dir() or path.is_symlink())


class _Fetching:
    def __init__(self, config: ClientConfig, report: Report, cancel: threading.Event, keep: bool) -> None:
        self.config = config
        self.report = report
        self.cancel = cancel
        self.keep = keep
        self.stop = threading.Event()
        self.parts: dict[str, tuple[Path, int]] = {}
        self.cache = config.packages_cache
        (self.cache / "sha256").mkdir(parents=True, exist_ok=True)

    def all(self, candidates: Sequence[Candidate]) -> dict[PackageId, Path]:
        """Downloads beside each other; failures stop the others, which can be continued later."""
        workers = max(2, self.config.multifetch)
        with ThreadPoolExecutor(workers, "package") as pool:
            futures = {candidate.id: pool.submit(self._one, candidate) for candidate in candidates}
            try:
                self._watch(set(futures.values()))
            except BaseException:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise
            return {package: future.result() for package, future in futures.items()}

    def _watch(self, running: set[Future[Path]]) -> None:
        while running:
            done, running = wait(running, _TICK, FIRST_EXCEPTION)
            for future in done:
                future.result()
            if self.cancel.is_set():
                self.stop.set()
                check_cancel(self.cancel)
            self._tell()

    def _tell(self) -> None:
        for subject, (part, total) in list(self.parts.items()):
            with contextlib.suppress(OSError):
                self.report(Progress("download", subject, part.stat().st_size, total))

    def _one(self, candidate: Candidate) -> Path:
        metadata = candidate.entry.metadata
        kept = self.cache / "sha256" / metadata.sha256
        old = self.cache / metadata.path
        for place in (kept, old, *self._on_disk(candidate)):
            if _digest(place) == metadata.sha256:
                if place == old and place != kept:
                    _link(old, kept)
                return place
        self._download(candidate, kept)
        _link(kept, old)
        return kept

    def _on_disk(self, candidate: Candidate) -> list[Path]:
        if candidate.repository.type != "disk" or self.keep:
            return []
        return [Path(url) / candidate.entry.metadata.path for url in candidate.repository.urls]

    def _download(self, candidate: Candidate, kept: Path) -> None:
        """A wrong file that was continued is tried once more as a whole."""
        metadata = candidate.entry.metadata
        part = kept.with_name(f"{kept.name}.part")
        self.parts[str(candidate.id)] = (part, metadata.size or 0)
        try:
            for _ in range(2):
                continued = part.exists()
                bring(self.config, candidate.repository, metadata.path, part, self.stop, lambda line: None)
                found = _digest(part)
                if found == metadata.sha256:
                    part.rename(kept)
                    return
                part.unlink(missing_ok=True)
                if not continued:
                    break
        except FarmError:
            check_cancel(self.stop)
            raise
        finally:
            self.parts.pop(str(candidate.id), None)
        hint = "it was damaged, or rebuilt after the wagon was synced: `farm anise repo update`"
        message = f"{metadata.path} of {candidate.repository.name} has sha256 {found}, its wagon says {metadata.sha256}"
        raise error("package-digest-mismatch", message, hint=hint)


def _digest(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _link(source: Path, target: Path) -> None:
    """Gives a file of the cache its other name, in place of what had it. The name is only a convenience."""
    with contextlib.suppress(OSError):
        new = target.with_name(f".{target.name}.new")
        new.unlink(missing_ok=True)
        os.link(source, new)
        new.rename(target)
