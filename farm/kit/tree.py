# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a kit, wherever they are: in a commit, in a folder, or in memory.

Nothing here follows a symbolic link: a link is a file of mode 120000 whose content is its target, as git has it.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

FILE, EXECUTABLE, LINK = "100644", "100755", "120000"
"""git's modes of what a kit may hold."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One file: git's mode, and the id of its content as a git blob. Equal entries are equal files."""

    mode: str
    blob: str


class Tree(Protocol):
    """A kit's files by path (``/`` between parts, no leading ``/``)."""

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Every file, sorted by path."""

    def read(self, path: str) -> bytes:
        """A file's content, for a link its target. KeyError when there is no such file."""


def blob_id(content: bytes) -> str:
    """The id that git gives to content (SHA-1 repositories)."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@dataclasses.dataclass(frozen=True)
class FolderTree:
    """The files below a folder; ``.git`` is left out. Read anew for each object, not for each look."""

    folder: Path

    @functools.cached_property
    def entries(self) -> Mapping[str, Entry]:
        """See `Tree`."""
        return {path: self._entry(path) for path in sorted(_walk(self.folder, ""))}

    def read(self, path: str) -> bytes:
        """See `Tree`."""
        return self._read(path)[1]

    def mode(self, path: str) -> str:
        """git's mode of one file. KeyError when there is no such file."""
        return self._read(path)[0]

    def _entry(self, path: str) -> Entry:
        mode, content = self._read(path)
        return Entry(mode, blob_id(content))

    def _read(self, path: str) -> tuple[str, bytes]:
        file = self.folder / path
        try:
            fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise KeyError(path) from None
        except OSError:
            if file.is_symlink():
                return LINK, os.fsencode(file.readlink())
            raise
        with open(fd, "rb") as stream:
            executable = os.fstat(fd).st_mode & stat.S_IXUSR
            return (EXECUTABLE if executable else FILE), stream.read()


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name == ".git":
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), f"{prefix}{entry.name}/")
            elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
                yield prefix + entry.name


@dataclasses.dataclass(frozen=True)
class MemoryTree:
    """Files in memory: path → (mode, content)."""

    files: Mapping[str, tuple[str, bytes]]

    @functools.cached_property
    def entries(self) -> Mapping[str, Entry]:
        """See `Tree`."""
        return {path: Entry(mode, blob_id(content)) for path, (mode, content) in sorted(self.files.items())}

    def read(self, path: str) -> bytes:
        """See `Tree`."""
        return self.files[path][1]


@dataclasses.dataclass
class ChangedTree:
    """A tree with changes that are not written yet: path → (mode, content), or None for what is removed."""

    base: Tree
    changes: dict[str, tuple[str, bytes] | None] = dataclasses.field(default_factory=dict)
    _entries: dict[str, Entry] | None = None

    @property
    def entries(self) -> Mapping[str, Entry]:
        """See `Tree`; not sorted."""
        if self._entries is None:
            self._entries = dict(self.base.entries)
            for path, change in self.changes.items():
                self._note(path, change)
        return self._entries

    def read(self, path: str) -> bytes:
        """See `Tree`."""
        if path not in self.changes:
            return self.base.read(path)
        change = self.changes[path]
        if change is None:
            raise KeyError(path)
        return change[1]

    def apply(self, changes: Mapping[str, tuple[str, bytes] | None]) -> None:
        """Adds further changes."""
        self.changes.update(changes)
        if self._entries is not None:
            for path, change in changes.items():
                self._note(path, change)

    def _note(self, path: str, change: tuple[str, bytes] | None) -> None:
        assert self._entries is not None
        if change is None:
            self._entries.pop(path, None)
        else:
            self._entries[path] = Entry(change[0], blob_id(change[1]))
