# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the packages that an image is made of, taken out of their tarballs when they are wanted."""

from __future__ import annotations

import fnmatch
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Packages:
    """The packages' tarballs in ``folder``; ``plan["packages"]`` has their file names by package."""

    def __init__(self, plan: dict[str, Any], folder: Path) -> None:
        self._files: dict[str, str] = plan["packages"]
        self._folder = folder.absolute()
        self._names: dict[str, list[str]] = {}

    def names(self, package: str) -> list[str]:
        """Paths of all regular files and links of a package, without a slash in front, sorted."""
        if package not in self._names:
            listed = subprocess.run(self._tar(package, "-t"), check=True, capture_output=True).stdout
            names = listed.decode("utf-8", "surrogateescape").splitlines()
            self._names[package] = sorted(name.removeprefix("./") for name in names if not name.endswith("/"))
        return self._names[package]

    def matching(self, package: str, pattern: str) -> list[str]:
        """Names that match a shell pattern."""
        return fnmatch.filter(self.names(package), pattern)

    def take(self, package: str, names: Iterable[str]) -> Path:
        """Unpacks these files; the folder they are in."""
        out = self._folder / f"{self._files[package]}.files"
        out.mkdir(exist_ok=True)
        wanted = sorted(name for name in set(names) if not (out / name).exists())
        if wanted:
            listed = "\0".join(wanted).encode("utf-8", "surrogateescape")
            options = ["-x", "--null", "--verbatim-files-from", "--no-same-owner", "-C", str(out), "-T", "-"]
            subprocess.run(self._tar(package, *options), check=True, input=listed)
        return out

    def read(self, package: str, name: str) -> bytes:
        """The content of one file."""
        return (self.take(package, [name]) / name).read_bytes()

    def _tar(self, package: str, *options: str) -> list[str]:
        """A command on the plain tarball: tar skips over contents there, and a kernel is looked into several times."""
        plain = self._folder / f"{self._files[package]}.plain"
        if not plain.exists():
            packed = self._folder / self._files[package]
            subprocess.run(["zstd", "-q", "-d", "-f", str(packed), "-o", str(plain)], check=True)
        return ["tar", "--quoting-style=literal", "-f", str(plain), *options]
