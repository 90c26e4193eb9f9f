# SPDX-License-Identifier: GPL-3.0-or-later
"""Files named by the sha256 of their bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import BinaryIO

from farm.spec.problem import error
from farm.store.session import Session

_CHUNK = 1 << 20


class BlobWriter:
    """A blob in the making. `commit` makes it visible; without that nothing of it stays."""

    def __init__(self, root: Path, session: Session) -> None:
        self._root = root
        self._session = session
        self._path = session.file()
        self._hash = hashlib.sha256()
        self._fd: int | None = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self.size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Appends ``data``."""
        assert self._fd is not None
        self._hash.update(data)
        self.size += len(data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]

    def commit(self, expect: str | None = None) -> str:
        """Names the blob by its digest and returns that. FarmError ``digest-mismatch`` when it is not ``expect``."""
        assert self._fd is not None
        digest = self._hash.hexdigest()
        if expect is not None and digest != expect:
            raise error("digest-mismatch", f"sha256 is {digest}, expected {expect}")
        path = blob_path(self._root, digest)
        self._session.pin([("blob", digest)])
        if not path.exists():
            os.fsync(self._fd)
            path.parent.mkdir(exist_ok=True)
            self._path.rename(path)
        return digest

    def close(self) -> None:
        """Frees what is left of it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def blob_path(root: Path, digest: str) -> Path:
    """Where a blob is, whether it is there or not."""
    return root / "blobs" / digest[:2] / digest


def put(root: Path, session: Session, source: Path | bytes | BinaryIO, expect: str | None) -> tuple[str, int]:
    """Stores a file's, string's or stream's bytes; returns digest and size."""
    with BlobWriter(root, session) as writer, contextlib.ExitStack() as stack:
        if isinstance(source, bytes):
            writer.write(source)
        else:
            stream = stack.enter_context(open(source, "rb")) if isinstance(source, Path) else source
            while data := stream.read(_CHUNK):
                writer.write(data)
        return writer.commit(expect), writer.size


def digest_of(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
