# SPDX-License-Identifier: GPL-3.0-or-later
"""Digests of many files, remembered as long as the files do not change, so that a bump does not read all packages."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from farm.store.blobs import digest_of

_FRESH = 2.0


class Digests:
    """sha256 of files. What is remembered is in the file ``kept`` of the user's own; None: nothing is.

    A file is known by its device, inode, size and times; one that changed in the last seconds is never remembered,
    as a further change could have the same time.
    """

    def __init__(self, kept: Path | None) -> None:
        self._kept = kept
        self._known: dict[str, str] = {}
        self._used: dict[str, str] = {}
        if kept:
            with contextlib.suppress(OSError, ValueError):
                known = json.loads(kept.read_bytes())
                self._known = known if isinstance(known, dict) else {}

    def of(self, paths: Iterable[Path]) -> dict[Path, str]:
        """The digest of each file. OSError when one cannot be read."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            listed = list(paths)
            return dict(zip(listed, pool.map(self.of_one, listed, chunksize=16), strict=True))

    def of_one(self, path: Path) -> str:
        """The digest of a file. OSError when it cannot be read."""
        info = path.stat()
        key = f"{info.st_dev}:{info.st_ino}:{info.st_size}:{info.st_mtime_ns}:{info.st_ctime_ns}"
        digest = self._known.get(key) or digest_of(path)
        if max(info.st_ctime, info.st_mtime) < time.time() - _FRESH:
            self._used[key] = digest
        return digest

    def save(self) -> None:
        """Remembers what was asked for since this was made."""
        if self._kept is None or self._used == self._known:
            return
        with contextlib.suppress(OSError):
            self._kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = self._kept.with_name(f"{self._kept.name}.{os.getpid()}")
            part.write_text(json.dumps(self._used))
            part.replace(self._kept)
