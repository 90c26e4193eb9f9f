# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the tarballs that ``repository.yaml`` names. They are called after their content and never written twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import cast

from farm.plan.job import EPOCH
from farm.store.compress import Compression, compressor
from farm.store.entry import FILE, FOLDER, Entry, link_up
from farm.store.funnel import Funnel
from farm.store.reach import Reach
from farm.store.tarwriter import END, header, write_tar
from farm.store.union import walk_layer
from farm.wagon.metadata import COMPRESSIONS
from farm.wagon.placing import PART
from farm.wagon.repository import RepoFile

_MARK = 16
_VERSION_CONTROL = frozenset((b".git", b".hg", b".svn", b".bzr", b"CVS"))


class TarFile:
    """A tarball in the making, in the folder where it will stay. `finish` gives it its name."""

    def __init__(self, folder: Path, compression: str) -> None:
        self._folder = folder
        self._part = folder / f"{PART}{os.getpid()}-{os.urandom(4).hex()}"
        self._compression = compression
        self._packer = compressor(cast(Compression, compression))
        self._hash = hashlib.sha256()
        self._file = open(self._part, "xb")  # noqa: SIM115 - closed by __exit__
        self._funnel = Funnel(self._sink)
        self._folders: set[str] = set()

    def add(self, path: str, content: bytes) -> None:
        """A file, with the folders above it. Files have to come in order of their paths."""
        self._add_folders(path.rpartition("/")[0])
        entry = Entry(path.encode(), FILE, mtime=EPOCH)
        entry.size = len(content)
        self._funnel.write(header(entry) + content + bytes(-len(content) % 512))

    def add_tree(self, root: Path, name: str) -> None:
        """A whole folder as ``name``: nothing of times, owners and umasks here, and no folders of version control."""
        with Reach(root) as reach:
            write_tar(link_up(_placed(reach, os.fsencode(name))), self._without_end)

    def finish(self, stem: str, kind: str = "") -> RepoFile:
        """Makes the file visible, on disk, as ``<stem>-<digest><kind>.tar…``."""
        self._funnel.write(END)
        self._funnel.finish()
        self._write(self._packer.flush())
        self._file.flush()
        os.fsync(self._file.fileno())
        digest = self._hash.hexdigest()
        name = f"{stem}-{digest[:_MARK]}{kind}.tar{COMPRESSIONS[self._compression]}"
        self._file.close()
        self._part.replace(self._folder / name)
        return RepoFile(name, digest, self._compression)

    def __enter__(self) -> TarFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._funnel.close()
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _add_folders(self, folder: str) -> None:
        parts = folder.split("/") if folder else []
        for end in range(1, len(parts) + 1):
            path = "/".join(parts[:end])
            if path not in self._folders:
                self._folders.add(path)
                self._funnel.write(header(Entry(path.encode(), FOLDER, 0o755, mtime=EPOCH)))

    def _without_end(self, piece: bytes) -> None:
        if piece is not END:
            self._funnel.write(piece)

    def _sink(self, piece: bytes) -> None:
        self._write(self._packer.compress(piece))

    def _write(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)


def _placed(reach: Reach, name: bytes) -> Iterator[Entry]:
    yield Entry(name, FOLDER, 0o755, mtime=EPOCH)
    skip: Callable[[bytes], bool] = lambda path: path.rpartition(b"/")[2] in _VERSION_CONTROL  # noqa: E731
    for entry in walk_layer(reach, skip):
        entry.path = name + b"/" + entry.path
        entry.uid = entry.gid = 0
        if entry.kind in (FILE, FOLDER):
            entry.mode = 0o755 if entry.kind == FOLDER or entry.mode & 0o111 else 0o644
        entry.mtime = EPOCH
        entry.xattrs = {}
        yield entry
