# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that leave the store for a folder of the user's. Each is there whole, or not at all, and on disk.

A file is written under a name that begins with a dot and ends in `PART`, which is locked meanwhile: two farms that
write the same take turns, and what one that was killed left is written over by the next.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from farm.spec.problem import error

if TYPE_CHECKING:
    from farm.store.store import Store

PART = ".part"
"""What the names of unfinished files end in; they begin with a dot."""

ALGORITHMS = ("sha256", "sha512")
"""What files of digests beside an output are of."""

_CHUNK = 1 << 20
_BLOCK = 1 << 16


@dataclasses.dataclass(frozen=True, slots=True)
class Digests:
    """Of one file. ``blake2b`` is what signatures are made of; ``size`` in bytes."""

    sha256: str
    sha512: str
    blake2b: bytes
    size: int

    def of(self, algorithm: str) -> str:
        """One of `ALGORITHMS`."""
        return {"sha256": self.sha256, "sha512": self.sha512}[algorithm]

    def line(self, algorithm: str, name: str) -> str:
        """As ``sha256sum`` writes it."""
        return f"{self.of(algorithm)}  {name}\n"


def digests_of(file: Path) -> Digests:
    """All digests of a file, read once. Raises OSError."""
    with open(file, "rb") as source:
        return _hashed(source, None)


class Together:
    """Files that belong together: all are written first, then all get their names, in the order they were added.

    A context manager; when it is left by an exception none gets its name. Methods raise OSError.
    """

    def __init__(self) -> None:
        self._parts = contextlib.ExitStack()
        self._ready: list[tuple[Path, Path]] = []

    def __enter__(self) -> Together:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._parts:
            for part, file in () if kind else self._ready:
                part.replace(file)

    def add_file(self, source: Path, file: Path) -> Digests:
        """A copy of a file, parts of zeros as holes."""
        part, out = self._parts.enter_context(part_of(file))
        found = _copied(source, out)
        self._ready.append((part, file))
        return found

    def add_bytes(self, file: Path, content: bytes) -> None:
        """A small file."""
        part, out = self._parts.enter_context(part_of(file))
        _filled(out, content)
        self._ready.append((part, file))


def put_blob(store: Store, digest: str, file: Path) -> Digests:
    """Copies a blob, unless the file is there with the same bytes. Raises OSError.

    FarmError ``damaged-blob`` when the blob's bytes are not its own; it is put aside, so that it is made anew.
    """
    blob = store.blob_path(digest)
    if _is_plain(file) and file.stat().st_size == blob.stat().st_size:
        there = digests_of(file)
        if there.sha256 == digest:
            return there
    with part_of(file) as (part, out):
        found = _copied(blob, out)
        if found.sha256 != digest:
            raise store.damaged_blob(digest, file.name)
        part.replace(file)
    return found


def put_bytes(file: Path, content: bytes) -> None:
    """A small file, on disk before it has its name; one that has these bytes stays as it is. Raises OSError."""
    if _is_plain(file) and file.read_bytes() == content:
        return
    with part_of(file) as (part, out):
        _filled(out, content)
        part.replace(file)


@contextlib.contextmanager
def part_of(file: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """The name and the open file, empty and locked, that become ``file`` by a rename; else it is removed."""
    part = file.with_name(f".{file.name}{PART}")
    with _locked(part) as out:
        try:
            os.ftruncate(out.fileno(), 0)
            yield part, out
        finally:
            if _is_there(out, part):
                part.unlink()


def _locked(part: Path) -> BinaryIO:
    """Opens it; who waited for another farm finds the file gone, and makes a new one."""
    while True:
        out = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "r+b")
        with contextlib.suppress(OSError):  # a file system without locks: whoever is last wins, whole
            fcntl.flock(out, fcntl.LOCK_EX)
        if _is_there(out, part):
            return out
        out.close()


def _is_there(out: BinaryIO, part: Path) -> bool:
    """Whether the name still means this file."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(out.fileno()), part.lstat())
    return False


@contextlib.contextmanager
def told(file: Path) -> Iterator[None]:
    """Makes the file's folder, and OSErrors FarmErrors: ``disk-full``, ``not-delivered``."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as fault:
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "make room and run it again: what is built is in the store, and what is in place stays"
            raise error("disk-full", f"no space left for {file}", hint=hint) from fault
        raise error("not-delivered", f"{fault.filename or file}: {fault.strerror}") from fault


def _is_plain(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()


def _filled(out: BinaryIO, content: bytes) -> None:
    out.write(content)
    out.flush()
    os.fsync(out.fileno())


def _copied(source: Path, out: BinaryIO) -> Digests:
    with open(source, "rb") as origin:
        found = _hashed(origin, out.fileno())
    os.ftruncate(out.fileno(), found.size)
    os.fsync(out.fileno())
    return found


def _hashed(source: BinaryIO, out: int | None) -> Digests:
    """Digests of what is read; with ``out`` it is copied there, but for blocks of zeros."""
    sha256, sha512, blake, size = hashlib.sha256(), hashlib.sha512(), hashlib.blake2b(), 0
    while piece := source.read(_CHUNK):
        for one in (sha256, sha512, blake):
            one.update(piece)
        if out is not None:
            _put_data(out, piece, size)
        size += len(piece)
    return Digests(sha256.hexdigest(), sha512.hexdigest(), blake.digest(), size)


def _put_data(out: int, piece: bytes, at: int) -> None:
    """Writes the blocks of a piece that are not all zero."""
    for start in range(0, len(piece), _BLOCK):
        block = piece[start : start + _BLOCK]
        if block.count(0) != len(block):
            write_at(out, block, at + start)


def write_at(out: int, data: bytes, at: int) -> None:
    """Writes all of the data at an offset. Raises OSError."""
    while data:
        done = os.pwrite(out, data, at)
        data, at = data[done:], at + done
