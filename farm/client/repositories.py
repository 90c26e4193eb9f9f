# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories as a root knows them: synced, opened, switched on and off.

Of a repository that is not on disk, ``<database>/repos/<name>/current`` is a link to a folder with the
``repository.yaml`` and the tree of one revision, both verified. A new revision comes into a folder of its own, and
then the link is replaced: a crash leaves the old or the new one. Of a repository on disk, which is read where it is,
that folder has only the ``repository.yaml`` that was seen last, so that an older one is noticed.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import shutil
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from farm.client.catalog import Catalog
from farm.client.config import ClientConfig, RepositoryConfig
from farm.client.masks import Masks
from farm.client.transport import bring
from farm.client.trust import verify_signature
from farm.spec.problem import FarmError, error
from farm.store.gc import sync as flush
from farm.store.session import locked
from farm.wagon.reading import Wagon, open_wagon
from farm.wagon.repository import FILE, Repository, read_repository

CURRENT = "current"
ATTEMPTS = 8
"""Times that a wagon is read anew when it was switched to another revision meanwhile."""

_PAUSE = 0.2
_RACES = frozenset({"wagon-digest-mismatch", "wagon-file-missing", "bad-signature"})

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class Synced:
    """What a sync found. ``changed``: it is another revision than before, or was fetched again by force."""

    repository: RepositoryConfig
    identity: Repository
    packages: int
    changed: bool


Result = Synced | FarmError


def sync_all(
    config: ClientConfig,
    repositories: Sequence[RepositoryConfig],
    *,
    force: bool = False,
    done: Callable[[RepositoryConfig, Result], None] = lambda repository, result: None,
) -> list[Result]:
    """Syncs repositories at the same time; ``done`` is told of each as it ends. The results are in their order."""
    cancel = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(max_workers=min(config.concurrency, max(1, len(repositories)))) as pool:
        futures = {pool.submit(_result, config, one, force, cancel): one for one in repositories}
        try:
            for future in concurrent.futures.as_completed(futures):
                done(futures[future], future.result())
        except BaseException:
            cancel.set()
            raise
    return [future.result() for future in futures]


def sync(
    config: ClientConfig, repository: RepositoryConfig, *, force: bool = False, cancel: threading.Event | None = None
) -> Synced:
    """Makes what is known here of a repository what it offers now.

    FarmError ``download-failed``, ``replayed-repository`` (an older revision than was seen; ``force`` takes it),
    ``unsigned-repository``, ``bad-signature``, and those of `Wagon.parse`. Then nothing is changed.
    """
    folder = config.repositories_path / repository.name
    folder.mkdir(parents=True, exist_ok=True)
    stop = cancel or threading.Event()
    with locked(folder / ".lock"):
        return _again(lambda: _Sync(config, repository, folder, force, stop).run(), stop)


def open_repository(config: ClientConfig, repository: RepositoryConfig) -> Wagon:
    """What a repository offers: one on disk as it is now, another as it was synced last (or now, if never kept).

    FarmError ``not-synced``; for one on disk also as `sync`.
    """
    if repository.type == "disk":
        return _again(lambda: _read_in_place(config, repository), threading.Event())
    if not repository.cached:
        sync(config, repository)
    return _again(lambda: open_wagon(_current(config, repository)), threading.Event(), _RACES | {"no-wagon"})


def open_catalog(config: ClientConfig, *, ignore_masks: bool = False) -> Catalog:
    """All that the enabled repositories offer, without what is masked or for another platform.

    FarmError as `open_repository`.
    """
    masks = Masks() if ignore_masks else Masks(config.masks)
    opened = ((one, open_repository(config, one)) for one in config.enabled_repositories)
    return Catalog.of(opened, masks, config.platform)


def known_identity(config: ClientConfig, repository: RepositoryConfig) -> Repository | None:
    """``repository.yaml`` as it was seen last; None before the first sync."""
    try:
        content = (config.repositories_path / repository.name / CURRENT / FILE).read_bytes()
    except OSError:
        return None
    return read_repository(content, f"{repository.name}/{FILE}")


def purge(config: ClientConfig) -> None:
    """Forgets all that was synced."""
    with contextlib.suppress(FileNotFoundError):
        for folder in list(config.repositories_path.iterdir()):
            shutil.rmtree(folder)


def _result(config: ClientConfig, repository: RepositoryConfig, force: bool, cancel: threading.Event) -> Result:
    try:
        return sync(config, repository, force=force, cancel=cancel)
    except FarmError as failure:
        return failure


def _again(work: Callable[[], T], cancel: threading.Event, races: Collection[str] = _RACES) -> T:
    """The result of ``work``, which is tried again when it met a wagon that was just being switched."""
    for _ in range(ATTEMPTS - 1):
        try:
            return work()
        except FarmError as failure:
            if failure.code not in races or cancel.wait(_PAUSE):
                raise
    return work()


def _current(config: ClientConfig, repository: RepositoryConfig) -> Path:
    link = config.repositories_path / repository.name / CURRENT
    if not link.exists():
        hint = f"run `farm anise repo update {repository.name}`"
        raise error("not-synced", f"repository {repository.name} was never synced", hint=hint)
    return link.resolve()


def _read_in_place(config: ClientConfig, repository: RepositoryConfig) -> Wagon:
    folder = disk_folder(repository)
    content = _read(folder / FILE)
    _refuse_older(read_repository(content), known_identity(config, repository), repository)
    verify_signature(config, repository, content, lambda name: _read(folder / name))
    return Wagon.parse(content, lambda name: open(folder / name, "rb"))


def disk_folder(repository: RepositoryConfig) -> Path:
    """The first folder of a disk repository that has a wagon. FarmError ``no-wagon``."""
    for url in repository.urls:
        if (Path(url) / FILE).is_file():
            return Path(url)
    places = ", ".join(repository.urls) or "none: it has no urls"
    raise error("no-wagon", f"repository {repository.name} has no {FILE} in its folders ({places})")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise error("wagon-file-missing", f"{path} cannot be read: {fault.strerror}") from fault


def _refuse_older(offered: Repository, seen: Repository | None, repository: RepositoryConfig) -> None:
    if seen is not None and offered.revision < seen.revision:
        message = f"repository {repository.name} offers revision {offered.revision}, but had {seen.revision} before"
        hint = f"a mirror may be behind; if it was really set back, `farm anise repo update --force {repository.name}`"
        raise error("replayed-repository", message, hint=hint)


class _Sync:
    """One try to sync one repository. Its folder is locked."""

    def __init__(
        self, config: ClientConfig, repository: RepositoryConfig, folder: Path, force: bool, cancel: threading.Event
    ) -> None:
        self._config = config
        self._repository = repository
        self._folder = folder
        self._force = force
        self._cancel = cancel

    def run(self) -> Synced:
        seen = known_identity(self._config, self._repository)
        with self._work() as work:
            content = self._content(FILE, work)
            verify_signature(self._config, self._repository, content, lambda name: self._content(name, work))
            offered = read_repository(content, f"{self._repository.name}/{FILE}")
            if not self._force:
                _refuse_older(offered, seen, self._repository)
                if offered == seen and (known := self._intact()) is not None:
                    return Synced(self._repository, offered, known, False)
            wagon = Wagon.parse(content, lambda name: self._tree(name, work))
            (work / FILE).write_bytes(content)
            self._switch(work)
        return Synced(self._repository, offered, len(wagon.packages), True)

    @contextlib.contextmanager
    def _work(self) -> Iterator[Path]:
        """A new folder beside the current one. What was left of it, or of an earlier one, goes."""
        for left in self._folder.glob(".new-*"):
            shutil.rmtree(left)
        work = Path(tempfile.mkdtemp(prefix=".new-", dir=self._folder))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _intact(self) -> int | None:
        """The number of packages of what is here; None when it is damaged."""
        try:
            return len(open_repository(self._config, dataclasses.replace(self._repository, cached=True)).packages)
        except FarmError:
            return None

    def _content(self, name: str, work: Path) -> bytes:
        with self._opened(name, work) as file:
            return file.read()

    def _tree(self, name: str, work: Path) -> BinaryIO:
        """A file that repository.yaml names. When it is gone, there may be a new repository.yaml by now."""
        try:
            return self._opened(name, work)
        except FarmError as failure:
            if failure.code != "download-failed" or failure.transient:
                raise
            raise FarmError(dataclasses.replace(failure.problems[0], code="wagon-file-missing")) from failure

    def _opened(self, name: str, work: Path) -> BinaryIO:
        """A file of the wagon: on disk the file itself, else a copy that is fetched into ``work``."""
        if self._repository.type == "disk":
            return open(disk_folder(self._repository) / name, "rb")
        if not (work / name).exists():
            part = work / f"{name}.part"
            bring(self._config, self._repository, name, part, self._cancel, lambda line: None)
            part.rename(work / name)
        return open(work / name, "rb")

    def _switch(self, work: Path) -> None:
        """Makes ``work`` the current folder, in one step, and removes the others."""
        flush(work)
        kept = self._folder / f"at-{work.name.removeprefix('.new-')}"
        work.rename(kept)
        link = self._folder / ".link"
        link.unlink(missing_ok=True)
        link.symlink_to(kept.name)
        link.replace(self._folder / CURRENT)
        flush(self._folder)
        for other in self._folder.glob("at-*"):
            if other != kept:
                shutil.rmtree(other)


def chosen(config: ClientConfig, names: Iterable[str]) -> list[RepositoryConfig]:
    """The repositories of these names, or all that are enabled. FarmError ``unknown-repository``."""
    named = [config.repository(name) for name in names]
    return named or list(config.enabled_repositories)
