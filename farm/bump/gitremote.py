# SPDX-License-Identifier: GPL-3.0-or-later
"""What a git remote has: tags and the heads of its branches, by ``git ls-remote``."""

from __future__ import annotations

import os
import subprocess

from farm.spec.problem import error

_PROTOCOLS = "file:git:http:https:ssh"
_TIMEOUT = 120.0


def remote_tags(url: str) -> list[str]:
    """The names of all tags. FarmError ``git-failed``."""
    lines = _ls_remote("--tags", "--refs", "--", url)
    return [line.partition("\trefs/tags/")[2] for line in lines if "\trefs/tags/" in line]


def remote_head(url: str, branch: str) -> str:
    """The commit that a branch (empty: the remote's HEAD) is at. FarmError ``git-failed``, ``no-branch``."""
    wanted = f"refs/heads/{branch}" if branch else "HEAD"
    for line in _ls_remote("--", url, wanted):
        commit, _, name = line.partition("\t")
        if name == wanted:
            return commit
    raise error("no-branch", f"{url} has no {wanted}", hint="compare the label github.branch (or git.branch)")


def _ls_remote(*words: str) -> list[str]:
    """git's answer. It never asks for a password, and runs no helper that a URL names (``ext::…``)."""
    environ = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": _PROTOCOLS, "LC_ALL": "C"}
    command = ["git", "-c", "credential.helper=", "ls-remote", *words]
    try:
        done = subprocess.run(command, env=environ, capture_output=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired as fault:
        raise error("git-failed", f"git ls-remote {words[-1]} gave no answer in {_TIMEOUT:.0f} s") from fault
    except FileNotFoundError as fault:
        raise error("git-failed", "there is no git on this host", hint="install the package git") from fault
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip() or f"exit status {done.returncode}"
        raise error("git-failed", f"git ls-remote: {said}")
    return done.stdout.decode(errors="replace").splitlines()
