# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits a tree's changes with git: these files and no others."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from farm.spec.problem import FarmError, Problem, error

_AUTHOR = re.compile(r"\s*(?P<name>[^<>\n]+?)\s*<(?P<mail>[^<>\s]+)>\s*")


def author_environ(author: str | None) -> dict[str, str]:
    """git's environment for ``Name <mail>``; None: whoever git is set up for. FarmError ``bad-author``."""
    if author is None:
        return {}
    match = _AUTHOR.fullmatch(author)
    if match is None:
        raise error("bad-author", f"{author!r} is no author", hint="write it as: Name <name@example.org>")
    return {f"GIT_{who}_{key.upper() if key == 'name' else 'EMAIL'}": match[key]
            for who in ("AUTHOR", "COMMITTER") for key in ("name", "mail")}  # fmt: skip


def repositories(files: Sequence[Path]) -> dict[Path, list[Path]]:
    """The files by the git repository they are in. FarmError ``no-repository``."""
    found: dict[Path, list[Path]] = {}
    problems = []
    for folder in sorted({file.parent for file in files}):
        done = _run(folder, ["rev-parse", "--show-toplevel"], check=False)
        if done.returncode:
            hint = "make one with `git init`, or call without --commit"
            problems.append(Problem("no-repository", f"{folder} is in no git repository", hint=hint))
            continue
        top = Path(done.stdout.decode().rstrip("\n"))
        found.setdefault(top, []).extend(file for file in files if file.parent == folder)
    if problems:
        raise FarmError(problems)
    return found


def check_clean(files: Sequence[Path], environ: Mapping[str, str]) -> None:
    """FarmError with all that would keep a commit from being made: ``not-committed`` for each of the files that have
    changes which are not committed, ``no-author`` where git does not know who commits.
    """
    problems = []
    for top, own in repositories(files).items():
        if _run(top, ["var", "GIT_COMMITTER_IDENT"], environ, check=False).returncode:
            hint = "give --author, or set user.name and user.email"
            problems.append(Problem("no-author", f"git does not know who commits in {top}", hint=hint))
        done = _run(top, ["status", "--porcelain", "-z", "--", *map(str, own)])
        for entry in filter(None, done.stdout.decode(errors="replace").split("\0")):
            hint = "commit or undo that first, so that the farm commits its own changes only"
            problems.append(Problem("not-committed", f"{top / entry[3:]} has changes of somebody else", hint=hint))
    if problems:
        raise FarmError(problems)


def commit(files: Sequence[Path], message: str, environ: Mapping[str, str]) -> list[str]:
    """Commits these files; the new commits, one a repository where something changed. FarmError ``git-failed``."""
    made = []
    for top, own in repositories(files).items():
        names = list(map(str, own))
        if not _run(top, ["status", "--porcelain", "--", *names]).stdout:
            continue
        _run(top, ["add", "--", *names])
        _run(top, ["commit", "--quiet", "--file=-", "--cleanup=verbatim", "--only", "--", *names], environ, message)
        made.append(_run(top, ["rev-parse", "HEAD"]).stdout.decode().strip())
    return made


def _run(
    folder: Path, words: Sequence[str], environ: Mapping[str, str] | None = None, text: str = "", *, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    command = ["git", *words]
    env = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **(environ or {})}
    try:
        done = subprocess.run(command, cwd=folder, env=env, input=text.encode(), capture_output=True, check=False)
    except FileNotFoundError as fault:
        raise error("git-failed", "there is no git on this host", hint="install the package git") from fault
    if check and done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise error("git-failed", f"git {words[0]} in {folder}: {said}")
    return done
