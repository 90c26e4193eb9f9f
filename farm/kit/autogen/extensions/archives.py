# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a few text files out of a source archive, without unpacking it."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from farm.spec.problem import FarmError, error
from farm.store.archive import Readable, decompressed, opened

MAX_TEXT = 16 << 20
MAX_TEXTS = 256 << 20
MAX_ARCHIVE = 16 << 30
MAX_MEMBERS = 1_000_000
_ZIP = b"PK\x03\x04"


def read_texts(archive: Path, wanted: Callable[[PurePosixPath], bool]) -> dict[PurePosixPath, bytes]:
    """The members that are ``wanted``, by their path. FarmError ``bad-archive``, ``archive-too-large``."""
    found: dict[PurePosixPath, bytes] = {}
    size = 0
    try:
        for path, read in _members(archive):
            if ".." in path.parts or not wanted(path):
                continue
            content = read(MAX_TEXT + 1)
            size += len(content)
            if len(content) > MAX_TEXT or size > MAX_TEXTS:
                raise error("archive-too-large", f"{path} in {archive.name} is too large to be read")
            found[path] = content
    except FarmError:
        raise
    except Exception as fault:  # each compression has errors of its own
        raise error("bad-archive", f"the archive cannot be read: {fault}") from fault
    return found


def _members(archive: Path) -> Iterator[tuple[PurePosixPath, Callable[[int], bytes]]]:
    with opened(archive) as (head, stream):
        if head.startswith(_ZIP):
            with zipfile.ZipFile(archive) as zipped:
                for entry in zipped.infolist():
                    if not entry.is_dir():
                        yield _path(entry.filename), lambda size, e=entry: zipped.open(e).read(size)  # type: ignore[misc]
            return
        bounded = cast(IO[bytes], io.BufferedReader(_Bounded(decompressed(head, stream)), 1 << 20))
        with tarfile.open(fileobj=bounded, mode="r|") as tar:
            for number, member in enumerate(tar):
                if number > MAX_MEMBERS:
                    raise error("archive-too-large", f"the archive has more than {MAX_MEMBERS} members")
                if member.isreg():
                    file = tar.extractfile(member)
                    assert file is not None, "a regular file has content"
                    yield _path(member.name), file.read


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(*(part for part in name.split("/") if part not in ("", ".")))


class _Bounded(io.RawIOBase):
    """A stream that gives no more than `MAX_ARCHIVE` bytes."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._left = MAX_ARCHIVE

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise error("archive-too-large", f"the archive has more than {MAX_ARCHIVE >> 30} GiB")
        buffer[: len(data)] = data
        return len(data)
