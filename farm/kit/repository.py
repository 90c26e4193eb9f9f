# SPDX-License-Identifier: GPL-3.0-or-later
"""One bare clone of a kit's repository: fetched once in a run, read and written without a working tree.

Commits are made by one ``git fast-import`` for all of them, so a thousand commits cost as much as a few. Refs change
only when everything is there: a kill leaves the old state.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from farm.kit.git import Credentials, Git, again, check_url, origin_of
from farm.kit.pushing import list_branches, push_branches
from farm.kit.tree import Entry
from farm.spec.problem import FarmError, error

_FETCHED = "refs/fetched/"

Changes = Mapping[str, tuple[str, bytes] | None]
"""Path → git's mode and content, or None for what is removed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Remote:
    """What a server has: branch → commit id."""

    branches: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Author:
    """Who commits. ``signing_key``: a file with an SSH key, with which commits are signed."""

    name: str = "MARK Devkit Bot"
    email: str = "mark-devkit-bot@macaronios.org"
    signing_key: Path | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class NewCommit:
    """A commit to be made. ``parent``: a commit id, ``""`` for none, or an int: the earlier one of that number."""

    parent: str | int
    message: str
    changes: Changes
    when: int = 0
    """Seconds since 1970."""


class Repository:
    """A bare repository in ``folder`` that was made by `clone`; ``url`` is where it is from."""

    def __init__(self, folder: Path, url: str, git: Git) -> None:
        self.folder = folder
        self.url = url
        self.git = git
        self._reader: subprocess.Popen[bytes] | None = None
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends git's helper process."""
        self._closing.close()
        self._reader = None

    @functools.cached_property
    def remote(self) -> Remote:
        """The server's branches, asked for once. FarmError ``git-failed``, ``git-transient``."""
        return Remote(list_branches(self.git, self.url))

    def fetch(self, branch: str, *, depth: int = 0, commit: str = "") -> str:
        """Brings a branch (or exactly ``commit`` of it) here: the commit's id. ``depth`` 0: the whole history.

        FarmError ``no-such-branch``, ``no-such-commit``, ``git-failed``, ``git-transient``.
        """
        if commit:
            return self._fetch_exactly(commit, branch, depth)
        head = self.remote.branches.get(branch)
        if head is None:
            hint = f"branches there: {', '.join(sorted(self.remote.branches)[:20]) or 'none'}"
            raise error("no-such-branch", f"{self.url} has no branch {branch!r}", hint=hint)
        if not self._has_enough(head, depth):
            self._fetch(f"+refs/heads/{branch}:{_FETCHED}{branch}", depth)
            head = self.git.text("rev-parse", f"{_FETCHED}{branch}")
        return head

    def _fetch_exactly(self, commit: str, branch: str, depth: int) -> str:
        """Asks for the commit; a server that gives branches only is asked for the branch with its history."""
        if self._has_enough(commit, depth):
            return commit
        try:
            self._fetch(commit, depth)
        except FarmError as failure:
            if failure.transient:
                raise
            self._fetch(f"+refs/heads/{branch}:{_FETCHED}{branch}", 0)
        if not self.has(commit):
            raise error("no-such-commit", f"{self.url} has no commit {commit} in branch {branch!r}")
        return commit

    def _has_enough(self, commit: str, depth: int) -> bool:
        return self.has(commit) and bool(depth or not self._is_shallow())

    def fetch_branches(self) -> None:
        """Brings every branch of the server here, under its own name."""
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--force", "--", self.url)
        again(lambda: self.git.run(*words, "refs/heads/*:refs/heads/*"))

    def fetch_commits(self, commits: Sequence[str]) -> None:
        """Brings commits here, with one parent each (the tips of other branches); those that are here stay.

        FarmError ``git-failed``, ``git-transient``.
        """
        asked = "".join(f"{commit}\n" for commit in commits).encode()
        lines = self.git.run("cat-file", "--batch-check", stdin=asked).decode().splitlines()
        missing = [line.split()[0] for line in lines if line.endswith(" missing")]
        words = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", self.url)
        try:
            for start in range(0, len(missing), 500):
                part = missing[start : start + 500]
                again(lambda part=part: self.git.run(*words, *part))  # type: ignore[misc]
        except FarmError as failure:
            if failure.transient:
                raise
            ours = [f"+refs/heads/{kind}/*:{_FETCHED}{kind}/*" for kind in ("merge", "purge")]
            again(lambda: self.git.run(*words, *ours))

    def _fetch(self, what: str, depth: int) -> None:
        shallow = ["--depth", str(depth)] if depth else (["--unshallow"] if self._is_shallow() else [])
        again(
            lambda: self.git.run(
                "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", *shallow, "--", self.url, what
            )
        )

    def _is_shallow(self) -> bool:
        return (self.folder / "shallow").exists()

    def has(self, commit: str) -> bool:
        """Whether a commit is here."""
        return self.git.finish(("cat-file", "-e", f"{commit}^{{commit}}"), accept=(0, 1, 128))[1] == 0

    def tree(self, commit: str) -> GitTree:
        """The files of a commit; ``""``: no file."""
        return GitTree(self, commit)

    def read_blob(self, blob: str) -> bytes:
        """The content of a blob. KeyError when it is not here."""
        if self._reader is None or self._reader.poll() is not None:
            self._reader = self._closing.enter_context(self.git.started(("cat-file", "--batch")))
        assert self._reader.stdin and self._reader.stdout
        self._reader.stdin.write(f"{blob}\n".encode())
        self._reader.stdin.flush()
        head = self._reader.stdout.readline().split()
        if len(head) != 3 or head[1] != b"blob":
            raise KeyError(blob)
        content = self._reader.stdout.read(int(head[2]) + 1)
        return content[:-1]

    def commit(self, commits: Sequence[NewCommit], author: Author, refs: Mapping[str, int] | None = None) -> list[str]:
        """Makes commits, in one go: their ids. ``refs``: full names of refs to be set → number of the commit.

        A commit id follows from its content, author and time alone: the same call gives the same ids.
        """
        from farm.kit.committing import write_commits

        return write_commits(self.git, commits, author, refs or {})

    def push(self, updates: Mapping[str, tuple[str, str]]) -> dict[str, str]:
        """Sets branches of the server: branch → (new commit, the commit that it must have now; ``""``: none).

        What could not be set → why. FarmError when the server cannot be reached at all.
        A new commit ``""`` deletes the branch.
        """
        refused = push_branches(self.git, self.url, updates)
        self.__dict__.pop("remote", None)
        return refused

    def log(self, commit: str, *paths: str, limit: int = 0) -> list[tuple[str, int, str]]:
        """Commits from ``commit`` backwards that touch ``paths``: id, time in seconds, first line of the message."""
        count = [f"-n{limit}"] if limit else []
        out = self.git.text("log", "--format=%H %ct %s", *count, commit, "--", *paths)
        return [(sha, int(when), subject) for sha, when, subject in (line.split(" ", 2) for line in out.splitlines())]

    def diff(self, old: str, new: str) -> str:
        """The difference of two commits as a patch (``old`` empty: everything is new)."""
        empty = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        return self.git.text("diff", "--no-color", "--no-ext-diff", "--no-renames", old or empty, new)


@dataclasses.dataclass(frozen=True)
class GitTree:
    """The files of one commit (`farm.kit.tree.Tree`). Submodules are left out."""

    repository: Repository
    commit: str

    @functools.cached_property
    def entries(self) -> Mapping[str, Entry]:
        """See `farm.kit.tree.Tree`."""
        if not self.commit:
            return {}
        found = {}
        for line in self.repository.git.run("ls-tree", "-r", "-z", self.commit).split(b"\0")[:-1]:
            head, path = line.split(b"\t", 1)
            mode, kind, blob = head.decode().split()
            if kind == "blob":
                found[path.decode("utf-8", "surrogateescape")] = Entry(mode, blob)
        return dict(sorted(found.items()))

    def read(self, path: str) -> bytes:
        """See `farm.kit.tree.Tree`."""
        return self.repository.read_blob(self.entries[path].blob)


def open_repository(folder: Path, url: str, credentials: Credentials | None = None) -> Repository:
    """The repository for ``url`` in ``folder``: the one of an earlier run, if it is whole, else a new one.

    Nothing is fetched yet. ``credentials`` go to the server of ``url`` only. FarmError ``bad-git-url``.
    """
    check_url(url)
    if url.startswith((".", "/")):
        url = str(Path(url).absolute())
    origin = origin_of(url)
    known = {origin: credentials} if origin and credentials and credentials.token else {}
    git = Git(folder, known)
    if _is_whole(git):
        _drop_locks(folder)
    else:
        _make(folder)
    return Repository(folder, url, git)


def _is_whole(git: Git) -> bool:
    folder = git.folder
    return bool(folder and (folder / "farm-kit").exists() and (folder / "HEAD").exists())


def _make(folder: Path) -> None:
    """Makes an empty repository under a temporary name: a half-made one is never taken for whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        Git().run("init", "--quiet", "--bare", str(part))
        (part / "farm-kit").touch()
        if folder.is_symlink() or folder.exists():
            _move_away(folder)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _move_away(folder: Path) -> None:
    message = f"{folder} is there and is not a repository that the farm made"
    if folder.is_symlink() or not (folder / "HEAD").exists() or not (folder / "objects").is_dir():
        raise error("folder-in-the-way", message, hint="remove it, or name another folder with --to")
    shutil.rmtree(folder)


def _drop_locks(folder: Path) -> None:
    """Removes what a killed git left: the run that holds the work folder's lock is the only one here."""
    for path, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".lock") or name.startswith(("tmp_pack_", "tmp_idx_", "tmp_obj_")):
                Path(path, name).unlink(missing_ok=True)
