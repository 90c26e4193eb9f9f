# SPDX-License-Identifier: GPL-3.0-or-later
"""One commit of a git repository, with its submodules, in a folder that is gone afterwards."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path

from farm.kit.autogen.extensions.bundle import Member
from farm.kit.autogen.extensions.protocol import Bench
from farm.kit.git import Credentials, Git, again, check_url, origin_of
from farm.spec.problem import FarmError, error

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SAFE = {"GIT_ALLOW_PROTOCOL": "https:http:ssh:git"}
"""No repository of this host, whatever a submodule's address says."""


@dataclasses.dataclass(frozen=True, slots=True)
class Checkout:
    """The files of the commit in ``folder``; ``scratch`` is for whatever is made of them."""

    folder: Path
    scratch: Path
    submodules: tuple[str, ...] = ()

    def members(self, prefix: str, below: str = "") -> Iterator[Member]:
        """The files (below a folder), without git's own, under ``prefix``."""
        top = self.folder / below if below else self.folder
        for place, folders, names in os.walk(top):
            folders[:] = sorted(name for name in folders if name != ".git")
            for name in [*names, *(folder for folder in folders if (Path(place) / folder).is_symlink())]:
                path = Path(place) / name
                if name == ".git":
                    continue
                where = f"{prefix}/{path.relative_to(self.folder)}"
                if path.is_symlink():
                    yield Member(where, link=str(path.readlink()))
                elif path.is_file():
                    yield Member(where, path, executable=os.access(path, os.X_OK))


@contextlib.contextmanager
def checked_out(bench: Bench, url: str, commit: str, *, submodules: bool = True) -> Iterator[Checkout]:
    """The commit's files. FarmError ``bad-git-url``, ``bad-commit``, ``git-failed``, ``git-transient``."""
    check_url(url)
    if origin_of(url) == "":
        raise error("bad-git-url", f"{url[:200]!r}: sources come from servers only", hint="write https://…")
    if not _COMMIT.fullmatch(commit):
        raise error("bad-commit", f"{commit[:80]!r} is no commit id")
    token = bench.tokens.for_url(url)
    known = {origin_of(url): Credentials("oauth2", token)} if token else {}
    with bench.distfiles.store.scratch("checkout") as scratch:
        folder = scratch / "tree"
        folder.mkdir()
        git = Git(None, known)
        inside = ("-C", str(folder))
        git.run(*inside, "init", "--quiet")
        _fetch(git, inside, url, commit)
        git.run(*inside, "-c", "core.symlinks=true", "checkout", "--quiet", "--detach", commit, env=_SAFE)
        paths: tuple[str, ...] = ()
        if submodules and (folder / ".gitmodules").is_file():
            git.run(*inside, "remote", "add", "origin", url)
            update = ("submodule", "--quiet", "update", "--init", "--recursive", "--depth", "1")
            again(lambda: git.run(*inside, *update, env=_SAFE))
            paths = _submodules(git, inside)
        yield Checkout(folder, scratch, paths)


def _fetch(git: Git, inside: tuple[str, str], url: str, commit: str) -> None:
    """The commit alone; from a server that gives branches and tags only, all of these."""
    fetch = (*inside, "fetch", "--quiet")
    try:
        again(lambda: git.run(*fetch, "--depth", "1", "--no-tags", "--", url, commit, env=_SAFE))
    except FarmError as failure:
        if failure.transient:
            raise
        everything = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        again(lambda: git.run(*fetch, "--", url, *everything, env=_SAFE))


def _submodules(git: Git, inside: tuple[str, str]) -> tuple[str, ...]:
    """Paths of the commit's own submodules (what is inside of them belongs to them)."""
    lines = git.text(*inside, "submodule", "status").splitlines()
    return tuple(sorted(line[1:].split()[1] for line in lines if len(line[1:].split()) > 1))
