# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders with the files of a kit, made of a bare clone: they are there whole, or as they were."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from farm.kit.git import Git
from farm.kit.repository import Repository
from farm.spec.problem import error

_MARK = "farm-kit-checkout"


def check_out(repository: Repository, branch: str, folder: Path, *, single_branch: bool = True) -> None:
    """A repository with the files of ``branch`` in ``folder``; one that the farm made before is replaced.

    FarmError ``folder-in-the-way`` when there is something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / ".git" / _MARK).exists():
        raise error("folder-in-the-way", f"{folder} is there, and the farm did not make it", hint="move it away")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        only = "--single-branch" if single_branch else "--no-single-branch"
        words = ("clone", "--quiet", "--no-hardlinks", only, "--branch", branch)
        Git().run(*words, "--", f"file://{repository.folder}", str(part / "new"))
        Git(part / "new" / ".git").run("remote", "set-url", "origin", repository.url)
        (part / "new" / ".git" / _MARK).touch()
        if folder.exists():
            folder.rename(part / "old")
        (part / "new").rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
