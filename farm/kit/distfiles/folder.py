# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror in a folder. Files are hashed before they are trusted, and appear whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from farm.kit.distfiles.parts import part_of, sweep_parts
from farm.kit.manifest import Distfile, hash_file
from farm.spec.problem import error


class Folder:
    """A mirror below ``root``, which is made when it is missing."""

    name = "dir"

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._swept: set[Path] = set()

    def has(self, path: str, line: Distfile, *, size_only: bool) -> bool:
        """See `Backend`. A link counts as not there: it is replaced."""
        file = self._path(path)
        self._sweep(file.parent)
        if file.is_symlink() or not file.is_file() or file.stat().st_size != line.size:
            return False
        return size_only or hash_file(file, line.name, tuple(line.hashes)).hashes == line.hashes

    def put(self, path: str, file: Path, line: Distfile) -> None:
        """See `Backend`."""
        self._write(path, lambda part: shutil.copyfile(file, part))

    def put_text(self, path: str, content: bytes) -> None:
        """See `Backend`."""
        file = self._path(path)
        if not (file.is_file() and file.read_bytes() == content):
            self._write(path, lambda part: part.write_bytes(content))

    def _write(self, path: str, fill: Callable[[Path], object]) -> None:
        target = self._path(path)
        part = part_of(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._sweep(target.parent)
            fill(part)
            part.chmod(0o644)
            with open(part, "rb") as written:
                os.fsync(written.fileno())
            part.replace(target)
        except OSError as fault:
            raise error("mirror-failed", f"{target}: {fault.strerror or fault}") from fault
        finally:
            part.unlink(missing_ok=True)

    def _sweep(self, folder: Path) -> None:
        """Removes what killed runs left in a folder, once."""
        if folder not in self._swept:
            self._swept.add(folder)
            sweep_parts(folder)

    def _path(self, path: str) -> Path:
        parts = path.split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise error("unsafe-path", f"{path!r} is no path in a mirror")
        return self.root.joinpath(*parts)
