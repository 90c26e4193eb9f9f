# SPDX-License-Identifier: GPL-3.0-or-later
"""The parsed-tree cache: what was read of each folder, valid while the folder's files keep their stat.

One file for each set of trees and value files. It is JSON: reading it runs no code whatever is in it, it costs
about as much as marshal, and its data is JSON to begin with. A file is believed only when its owner is this user
or root, nobody else may write it, and its checksum is right; else everything is read anew. Writing is a rename, so
any number of processes may use one cache: the last one wins, and each version is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import farm
from farm.spec.folder import Record
from farm.spec.scan import Folder

SETTLED = 50_000_000
"""Nanoseconds after which a change can no longer have the time stamp of an earlier one (a kernel tick and more)."""


class Cache:
    """Records of folders. ``context`` stands for all that they depend on beside the folder itself."""

    def __init__(self, directory: Path | None, names: Sequence[str], context: bytes) -> None:
        self._file = directory / f"tree-{_digest(repr(names).encode())[:24]}.json" if directory else None
        self._context = _digest(_code() + context)
        self._old: dict[str, Any] = self._read()
        self._new: dict[str, Any] = {}
        self._changed = False
        self._started = time.time_ns()

    def get(self, folder: Folder) -> Record | None:
        """The record of a folder that has not changed."""
        found = self._old.get(folder.path)
        if found is None or found[0] != folder.signature():
            return None
        self._new[folder.path] = found
        record: Record = found[1]
        return record

    def put(self, folder: Folder, record: Record) -> None:
        """Keeps a record, unless the folder's files are so new that a change could go unseen."""
        if folder.newest() < self._started - SETTLED:
            self._new[folder.path] = [folder.signature(), record]
            self._changed = True

    def save(self) -> None:
        """Writes what was put. A cache that cannot be written is no error."""
        if self._file is None or not (self._changed or self._new.keys() != self._old.keys()):
            return
        content = json.dumps({"context": self._context, "folders": self._new}, separators=(",", ":")).encode()
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._file.parent, prefix=".tree-", delete=False) as file:
                file.write(_digest(content).encode() + b"\n" + content)
            Path(file.name).replace(self._file)

    def _read(self) -> dict[str, Any]:
        try:
            content = _read_own(self._file) if self._file else b""
            checksum, _, body = content.partition(b"\n")
            if not body or checksum.decode() != _digest(body):
                return {}
            document = json.loads(body)
            folders: dict[str, Any] = document["folders"] if document["context"] == self._context else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return folders


def _read_own(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        ours = found.st_uid in (0, os.geteuid()) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        return file.read() if ours and stat.S_ISREG(found.st_mode) else b""


def _code() -> bytes:
    """Changes with the farm's version, and with every edit of the code that makes records."""
    here = Path(__file__).parent
    stats = [
        (str(p), (s := p.stat()).st_size, s.st_mtime_ns)
        for p in sorted(here.rglob("*"))
        if p.suffix in (".py", ".json")
    ]
    return repr((farm.__version__, stats)).encode()


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=32).hexdigest()
