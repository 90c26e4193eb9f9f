# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the specs of a tree and their files, by name and stat alone.

Links are never followed (but for a spec's own YAML files), and what is neither a regular file, a folder nor a link
is never opened.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from farm.spec.problem import Place, Problem

SPEC_NAMES = ("definition.yaml", "collection.yaml")
"""A folder that has one of these is a spec."""
YAML_NAMES = (*SPEC_NAMES, "build.yaml", "finalize.yaml")
"""The files of a spec that the farm reads."""
IGNORED = frozenset((".git", ".svn", ".hg", ".bzr", "CVS", "_darcs", ".jj"))
"""Folders of version control; no spec and no file of a spec is in them."""
INDEX_NAMES = (".anise-idx.json", ".anise-idx.json.zstd")
"""Indexes that `farm anise-build tree genidx` writes into folders of a tree; no files of a spec."""

Signature = list[int | str]


@dataclasses.dataclass(slots=True)
class Entry:
    """A file of a spec's folder. ``signature`` changes whenever its content, mode or type may have changed."""

    path: str
    mode: int
    signature: Signature


@dataclasses.dataclass(slots=True)
class Folder:
    """A spec's folder: its absolute path, and its files below it (not those of specs inside it), sorted."""

    path: str
    entries: list[Entry]

    def signature(self) -> list[Signature]:
        """Equal signatures: nothing in the folder has changed."""
        return [entry.signature for entry in self.entries]

    def newest(self) -> int:
        """The latest inode change of its files, in ns."""
        return max((int(entry.signature[-1]) for entry in self.entries), default=0)


def scan(root: str, problems: list[Problem]) -> list[Folder]:
    """All specs below ``root`` (an absolute path), sorted by path. What cannot be read goes into ``problems``."""
    folders: list[Folder] = []
    waiting: list[tuple[str, Folder | None]] = [(root, None)]
    while waiting:
        path, owner = waiting.pop()
        try:
            with os.scandir(path) as listing:
                items = list(listing)
        except OSError as e:
            problems.append(_unreadable("unreadable-folder", path, e))
            continue
        if any(item.name in SPEC_NAMES and not item.is_dir(follow_symlinks=False) for item in items):
            owner = Folder(path, [])
            folders.append(owner)
        for item in items:
            if item.is_dir(follow_symlinks=False):
                if item.name not in IGNORED:
                    waiting.append((item.path, owner))
            elif owner is not None and item.name not in INDEX_NAMES:
                _add(owner, item, problems)
    for folder in folders:
        folder.entries.sort(key=lambda entry: entry.path)
    return sorted(folders, key=lambda folder: folder.path)


def shared_templates(root: str) -> Iterator[str]:
    """Paths of the tree's shared templates: ``templates/**/*.yaml``, in the order in which Go's Walk finds them."""
    top = f"{root}/templates"
    for folder, names, files in os.walk(top):
        names[:] = sorted(name for name in names if name not in IGNORED)
        yield from (f"{folder}/{name}" for name in sorted(files) if name.endswith(".yaml"))


def read_regular(path: str) -> bytes:
    """The content of a regular file, or of one that a link leads to. OSError for anything else, which is not opened."""
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise OSError(0, "not a regular file")
    return read_entry(path, follow=True)


def read_entry(path: str, *, follow: bool = False) -> bytes:
    """The content of what is known to be a regular file. OSError when it no longer is; never waits."""
    with _open(path, follow) as file:
        return file.read()


def sha256_of(path: str) -> str:
    """The sha256 of what is known to be a regular file, and may be large. OSError as `read_entry`."""
    with _open(path, False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _open(path: str, follow: bool) -> Iterator[BufferedReader]:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    with open(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "not a regular file")
        yield file


def _add(owner: Folder, item: os.DirEntry[str], problems: list[Problem]) -> None:
    try:
        found = item.stat(follow_symlinks=False)
        relative = item.path[len(owner.path.rstrip("/")) + 1 :]
        signature: Signature = [relative, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ino]
        if item.is_symlink() and relative in YAML_NAMES:
            signature += _target(item.path)
        signature.append(found.st_ctime_ns)
    except OSError as e:
        problems.append(_unreadable("unreadable-file", item.path, e))
        return
    owner.entries.append(Entry(relative, found.st_mode, signature))


def _target(path: str) -> Signature:
    """What a spec's YAML file that is a link leads to."""
    try:
        found = Path(path).stat()
    except OSError:
        return [0]
    return [found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns]


def _unreadable(code: str, path: str, e: OSError) -> Problem:
    return Problem(code, f"cannot be read: {e.strerror or e}", Place(printable(path)), "check its permissions")


def printable(path: str) -> str:
    """A path that can be printed and encoded whatever bytes are in it."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
