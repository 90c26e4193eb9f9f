# SPDX-License-Identifier: GPL-3.0-or-later
"""Pushes branches, all of them at once, and says of each whether the server took it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from farm.kit.git import Git, again, origin_of
from farm.spec.problem import error

Update = tuple[str, str]
"""The new commit, and the one that the branch has to be at now (empty: there is no branch)."""

_AT_A_TIME = 200
"""Branches in one push: arguments and servers have limits."""


def push_branches(git: Git, url: str, updates: Mapping[str, Update]) -> dict[str, str]:
    """See `farm.kit.repository.Repository.push`."""
    refused: dict[str, str] = {}
    names = sorted(updates)
    for start in range(0, len(names), _AT_A_TIME):
        refused |= _insist(git, url, {name: updates[name] for name in names[start : start + _AT_A_TIME]})
    return refused


def _insist(git: Git, url: str, updates: Mapping[str, Update]) -> dict[str, str]:
    """Tries again where the connection broke. What the server had taken before that is not sent a second time."""
    tries = 0

    def attempt() -> dict[str, str]:
        nonlocal tries
        tries += 1
        left = dict(updates)
        if tries > 1:
            there = list_branches(git, url)
            left = {name: update for name, update in updates.items() if there.get(name, "") != update[0]}
        return _push(git, url, left) if left else {}

    return again(attempt)


def list_branches(git: Git, url: str) -> dict[str, str]:
    """The branches of a server → commit ids, without a clone; empty for an empty repository."""
    out = again(lambda: git.run("ls-remote", "--heads", "--", url)).decode("utf-8", "surrogateescape")
    pairs = (line.split("\t", 1) for line in out.splitlines())
    return {name.removeprefix("refs/heads/"): commit for commit, name in pairs}


def _push(git: Git, url: str, updates: Mapping[str, Update]) -> dict[str, str]:
    words: list[str] = [f"--force-with-lease=refs/heads/{name}:{before}" for name, (_, before) in updates.items()]
    words += ["--", url, *(f"{new}:refs/heads/{name}" for name, (new, _) in updates.items())]
    out, status = git.finish(("push", "--porcelain", "--no-verify", *words), accept=(0, 1))
    refused = _refused(out.decode("utf-8", "replace").splitlines()) if status else {}
    if status and not refused:
        raise error("git-transient", f"git push to {origin_of(url) or url} broke off", transient=True)
    return refused


def _refused(lines: Sequence[str]) -> dict[str, str]:
    """Lines of ``git push --porcelain``: flag, from:to, summary (git-push(1)); ``!`` is a branch refused."""
    refused = {}
    for line in lines:
        flag, *fields = line.split("\t")
        if flag == "!" and len(fields) == 2:
            refused[fields[0].partition(":")[2].removeprefix("refs/heads/")] = fields[1]
    return refused
