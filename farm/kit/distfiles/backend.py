# SPDX-License-Identifier: GPL-3.0-or-later
"""Where distfiles are brought to: a folder, or a bucket. One file each behind one protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from farm.kit.manifest import Distfile


class Backend(Protocol):
    """A mirror that can be written. Used by several threads at once."""

    name: str

    def has(self, path: str, line: Distfile, *, size_only: bool) -> bool:
        """Whether ``path`` is there and is the file of ``line``: by its hashes, or by its size alone."""

    def put(self, path: str, file: Path, line: Distfile) -> None:
        """Brings ``file`` there in one step. FarmError ``mirror-failed``, ``transient`` when another try may help."""

    def put_text(self, path: str, content: bytes) -> None:
        """Brings a small file there, unless it is there already."""
