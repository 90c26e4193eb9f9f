# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacks root tarballs and source archives (tar, zip, deb) into a fresh folder that they cannot leave."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from farm.spec.problem import error
from farm.store.archive import deb_data, decompressed, opened, read_ahead
from farm.store.builder import Builder, disk_full
from farm.store.entry import FILE, FOLDER, HARDLINK, WHITEOUT, Entry
from farm.store.tarreader import TarReader
from farm.store.tarwriter import OPAQUE_MARK, WHITEOUT_PREFIX

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_DEB = b"!<arch>\n"

Content = Iterable[bytes | memoryview]


def unpack(archive: BinaryIO | Path, target: Path, *, strip: int = 0, skip: Collection[str] = ()) -> None:
    """Unpacks a root tarball with all its metadata into the empty folder ``target``.

    ``skip``: top folders whose content is left out. OCI whiteouts become overlayfs'. FarmError
    ``unsafe-archive``, ``bad-archive``, ``disk-full``.
    """
    skipped = {os.fsencode(name) for name in skip}
    builder = Builder(target)
    with _plain_errors():
        for entry, content in _members(archive):
            if not _place(entry, strip, b"") or _is_skipped(entry, skipped):
                continue
            name = entry.path.rpartition(b"/")[2]
            if name == OPAQUE_MARK:
                builder.opaque(entry.path[: -len(OPAQUE_MARK) - 1])
            elif name.startswith(WHITEOUT_PREFIX):
                folder = entry.path[: -len(name)]
                builder.add(Entry(folder + name[len(WHITEOUT_PREFIX) :], WHITEOUT))
            else:
                builder.add(entry, content)
        builder.finish()


def unpack_source(archive: Path, builder: Builder, dest: bytes, strip: int) -> None:
    """Unpacks a source archive below ``dest`` as root's: owners 0:0, ``strip`` leading folders removed."""
    builder.folder(dest)
    with _plain_errors():
        for entry, content in _members(archive):
            if _place(entry, strip, dest + b"/" if dest else b"") and entry.path != dest:
                entry.uid = entry.gid = 0
                builder.add(entry, content)


def _members(archive: BinaryIO | Path) -> Iterator[tuple[Entry, Content]]:
    with opened(archive) as (head, stream):
        if head.startswith(_ZIP):
            from farm.store.zipreader import zip_members

            yield from zip_members(archive)
            return
        if head == _DEB:
            head, stream = deb_data(stream)
        with read_ahead(decompressed(head, stream)) as pieces:
            reader = TarReader(pieces)
            for entry in reader:
                yield entry, reader.content() if entry.kind == FILE else ()


def _place(entry: Entry, strip: int, prefix: bytes) -> bool:
    """Puts the entry where it belongs; False when it has no place. FarmError ``unsafe-archive``."""
    path = _path(entry.path, strip)
    if not path:
        return False
    if entry.kind == HARDLINK:
        link = _path(entry.link, strip)
        if not link:
            raise error("bad-archive", f"hard link {_show(entry.path)} to {_show(entry.link)}, which is left out")
        entry.link = prefix + link
    entry.path = prefix + path
    return True


def _path(name: bytes, strip: int) -> bytes:
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise error("unsafe-archive", f"the archive has a name that leaves its root: {_show(name)}")
    return b"/".join(parts[strip:])


def _is_skipped(entry: Entry, skipped: set[bytes]) -> bool:
    top, slash, _ = entry.path.partition(b"/")
    return top in skipped and (bool(slash) or entry.kind != FOLDER)


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(os.fsencode(problem.filename or b"")) from problem
        raise error("unpack-failed", f"the archive cannot be unpacked: {problem}") from problem


def _show(name: bytes) -> str:
    return os.fsdecode(name)
