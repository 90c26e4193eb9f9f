# SPDX-License-Identifier: GPL-3.0-or-later
"""go.sum, and the hash ``h1`` in it (https://go.dev/ref/mod#go-sum-files; golang.org/x/mod/sumdb/dirhash). Pure but for
reading the file that is hashed."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from farm.spec.problem import error

MAX_LINES = 50_000
MAX_UNPACKED = 4 << 30
"""Bytes that the files of one module may have; Go's own limit is 500 MiB for the zip."""

_MODULE = re.compile(r"[A-Za-z0-9._~/-]+")
_VERSION = re.compile(r"v[A-Za-z0-9.+-]+")
_SUM = re.compile(r"h1:[A-Za-z0-9+/]{43}=")


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Line:
    """A module's zip, or (``mod``) its go.mod, and its hash."""

    module: str
    version: str
    mod: bool
    sum: str

    @property
    def path(self) -> str:
        """Below a module proxy (https://go.dev/ref/mod#goproxy-protocol): capitals are written ``!lower``."""
        ending = "mod" if self.mod else "zip"
        return f"{escaped(self.module)}/@v/{escaped(self.version)}.{ending}"


def parse_go_sum(text: str) -> list[Line]:
    """All lines, each once, in order. FarmError ``bad-go-sum`` with the first that is none."""
    found: dict[Line, None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words:
            continue
        version, _, mod = words[1].partition("/") if len(words) == 3 else ("", "", "")
        known = _MODULE.fullmatch(words[0]) and _VERSION.fullmatch(version) and mod in ("", "go.mod")
        if not known or not _SUM.fullmatch(words[2]) or ".." in words[0].split("/"):
            raise error("bad-go-sum", f"line {number} of go.sum is none: {line[:100]!r}")
        found[Line(words[0], version, bool(mod), words[2])] = None
        if len(found) > MAX_LINES:
            raise error("bad-go-sum", f"go.sum has more than {MAX_LINES} lines")
    return list(found)


def escaped(text: str) -> str:
    """A path or version as proxies and the module cache have it."""
    return re.sub(r"[A-Z]", lambda match: "!" + match[0].lower(), text)


def hash_of(file: Path, line: Line) -> str:
    """The ``h1`` of a downloaded file. FarmError ``bad-archive``."""
    if line.mod:
        return hash1([("go.mod", hashlib.sha256(file.read_bytes()).hexdigest())])
    try:
        with zipfile.ZipFile(file) as zipped:
            if sum(entry.file_size for entry in zipped.infolist()) > MAX_UNPACKED:
                raise error("archive-too-large", f"{line.module} {line.version} has more than {MAX_UNPACKED >> 30} GiB")
            return hash1((entry.filename, _digest(zipped, entry)) for entry in zipped.infolist() if not entry.is_dir())
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as fault:
        raise error("bad-archive", f"{line.module} {line.version}: {fault}") from fault


def hash1(files: Iterable[tuple[str, str]]) -> str:
    """dirhash.Hash1 of names and hexadecimal sha256 digests."""
    total = hashlib.sha256()
    for name, digest in sorted(files, key=lambda pair: pair[0].encode()):
        total.update(f"{digest}  {name}\n".encode())
    return "h1:" + base64.b64encode(total.digest()).decode()


def _digest(zipped: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    digest = hashlib.sha256()
    with zipped.open(entry) as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return digest.hexdigest()
