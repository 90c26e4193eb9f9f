# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads zip archives (PKWARE APPNOTE 6.3; Unix modes in the external attributes as Info-ZIP writes them)."""

from __future__ import annotations

import calendar
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from farm.spec.problem import error
from farm.store.entry import FILE, FOLDER, SYMLINK, Entry

_CHUNK = 1 << 20
_MAX_LINK = 4096


def zip_members(archive: BinaryIO | Path) -> Iterator[tuple[Entry, Iterator[bytes]]]:
    """All members with their content. FarmError ``bad-archive``."""
    try:
        with zipfile.ZipFile(archive) as file:
            for info in file.infolist():
                entry = _entry(file, info)
                yield entry, _content(file, info) if entry.kind == FILE else iter(())
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as problem:
        raise error("bad-archive", f"the zip archive cannot be read: {problem}") from problem


def _entry(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> Entry:
    unix = info.external_attr >> 16
    name = info.filename.encode("utf-8", "surrogateescape")
    mtime = calendar.timegm((*info.date_time, 0, 0, 0))
    if info.is_dir():
        return Entry(name, FOLDER, unix & 0o7777 or 0o755, mtime=mtime)
    if stat.S_ISLNK(unix):
        with file.open(info) as stream:
            return Entry(name, SYMLINK, 0o777, mtime=mtime, link=stream.read(_MAX_LINK))
    entry = Entry(name, FILE, unix & 0o7777 or 0o644, mtime=mtime)
    entry.size = info.file_size
    return entry


def _content(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    with file.open(info) as stream:
        while data := stream.read(_CHUNK):
            yield data
