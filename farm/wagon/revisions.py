# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a wagon: its current revision, those before it, and the one step from one to the next.

``repository.yaml`` is what clients read first. It names tarballs that are called after their content, are there before
it and are never written again, so one rename switches all. ``revisions/N.yaml`` is the repository.yaml of revision N.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from farm.spec.problem import FarmError, error
from farm.store.session import locked
from farm.wagon.placing import PART, copy_file, sync_folder, write_file
from farm.wagon.reading import OpenFile
from farm.wagon.repository import FILE, RepoFile, Repository, read_repository

SIGNATURE = ".minisig"
GRACE = 600.0
"""Seconds that a superseded tree stays at least: a client may have read the old repository.yaml just before."""

_LOCK = ".farm.lock"
_BY_CONTENT = re.compile(r"(?:tree|compilertree|repository)-[0-9a-f]{16}(?:\.meta\.yaml)?\.tar(?:\.gz|\.zst)?")


class WagonFolder:
    """A wagon on this host. What changes it needs `changing`; reading needs nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._revisions = path / "revisions"

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Makes the folder, and keeps others from changing the wagon at the same time. Removes what a crash left."""
        self._revisions.mkdir(parents=True, exist_ok=True)
        with locked(self.path / _LOCK):
            for folder in (self.path, self._revisions):
                for part in folder.glob(f"{PART}*"):
                    part.unlink(missing_ok=True)
            yield

    @property
    def open_file(self) -> OpenFile:
        """Opens a file of the wagon by name."""
        return lambda name: open(self.path / name, "rb")

    def current(self) -> Repository | None:
        """What repository.yaml says; None when there is none. FarmError ``bad-repository``."""
        content = _content(self.path / FILE)
        return None if content is None else read_repository(content, str(self.path / FILE))

    def content(self, revision: int | None = None) -> bytes:
        """The bytes of repository.yaml, or of an earlier revision's. FarmError ``no-wagon``, ``no-revision``."""
        if revision is None:
            content = _content(self.path / FILE)
            if content is None:
                raise error("no-wagon", f"no wagon in {self.path}", hint=f"name a folder that has a {FILE}")
            return content
        content = _content(self._of(revision))
        if content is None:
            kept = ", ".join(map(str, self.kept())) or "none"
            raise error("no-revision", f"{self.path} does not keep revision {revision}", hint=f"kept: {kept}")
        return content

    def revision(self, number: int) -> Repository:
        """An earlier revision. FarmError ``no-revision``."""
        return read_repository(self.content(number), str(self._of(number)))

    def kept(self) -> list[int]:
        """Numbers of the revisions that are kept, lowest first."""
        names = (path.name for path in self._revisions.glob("*.yaml")) if self._revisions.is_dir() else ()
        return sorted(int(name[:-5]) for name in names if name[:-5].isdecimal())

    def signature(self, revision: int | None = None) -> bytes | None:
        """The signature of repository.yaml, or of an earlier revision; None when there is none."""
        path = self.path / FILE if revision is None else self._of(revision)
        return _content(Path(f"{path}{SIGNATURE}"))

    def switch(self, repository: Repository, signature: bytes | None, aliases: Iterable[tuple[str, str]] = ()) -> None:
        """Publishes a revision, all of whose files are there. ``aliases``: (further name, name of a file).

        The signature of a revision is there under its number before clients can know of that, so that no client
        sees a signature and a repository.yaml that do not belong together.
        """
        content = repository.to_yaml()
        before = self._superseded()
        write_file(self._of(repository.revision), content)
        self._sign(self._of(repository.revision), signature)
        sync_folder(self._revisions)
        for alias, name in aliases:
            copy_file(self.path / name, self.path / alias)
        sync_folder(self.path)
        write_file(self.path / FILE, content)
        self._sign(self.path / FILE, signature)
        sync_folder(self.path)
        for name in before:
            with contextlib.suppress(OSError):
                os.utime(self.path / name)

    def keep(self, repository: Repository) -> None:
        """Keeps the current revision, which another tool made, as one of ours are kept."""
        write_file(self._of(repository.revision), self.content())

    def sign(self, repository: Repository, signature: bytes) -> None:
        """Puts a signature beside what is published already."""
        if _content(self._of(repository.revision)) is None:
            self.keep(repository)
        self._sign(self._of(repository.revision), signature)
        self._sign(self.path / FILE, signature)

    def forget(self, numbers: Iterable[int]) -> None:
        """Revisions that are kept no longer."""
        for number in numbers:
            self._sign(self._of(number), None)
            self._of(number).unlink(missing_ok=True)

    def outdated(self, keep: int) -> list[int]:
        """Revisions that are not among the last ``keep``; the current one is never one of them."""
        current = self.current()
        kept = [number for number in self.kept() if current is None or number != current.revision]
        later = [number for number in kept if current and number > current.revision]
        kept = [number for number in kept if number not in later]
        return [*kept[: len(kept) - (keep - 1)], *later] if keep > 1 else [*kept, *later]

    def waste(self, without: Iterable[int] = (), *, grace: float = GRACE) -> list[str]:
        """Tarballs of trees that no kept revision needs, and that nobody can be about to fetch any more."""
        needed = self.needed_files(without)
        now = time.time()
        found = [path for path in self.path.iterdir() if _BY_CONTENT.fullmatch(path.name) and path.name not in needed]
        return sorted(path.name for path in found if now - path.stat().st_mtime >= grace)

    def needed_files(self, without: Iterable[int] = ()) -> set[str]:
        """Names of the files that the current and the kept revisions name, but for those of ``without``."""
        needed = {file.filename for file in self._repo_files(self.current())}
        for number in set(self.kept()) - set(without):
            with contextlib.suppress(FarmError):
                needed |= {file.filename for file in self._repo_files(self.revision(number))}
        return needed

    def retire(self, keep: int) -> None:
        """Forgets all but the last ``keep`` revisions, and removes trees that nobody needs any more."""
        self.forget(self.outdated(keep))
        for name in self.waste():
            (self.path / name).unlink(missing_ok=True)

    def _of(self, revision: int) -> Path:
        return self._revisions / f"{revision}.yaml"

    def _superseded(self) -> list[str]:
        with contextlib.suppress(FarmError):
            return [file.filename for file in self._repo_files(self.current())]
        return []

    @staticmethod
    def _repo_files(repository: Repository | None) -> Iterable[RepoFile]:
        return repository.repo_files.values() if repository else ()

    @staticmethod
    def _sign(path: Path, signature: bytes | None) -> None:
        target = Path(f"{path}{SIGNATURE}")
        if signature is None:
            target.unlink(missing_ok=True)
        elif _content(target) != signature:
            write_file(target, signature)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise error("unreadable-file", f"{path} cannot be read: {problem.strerror}") from problem
