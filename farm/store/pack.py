# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PTH112, PTH208
# (names are bytes, which pathlib cannot hold)
"""Package tarballs out of layers.

Format: anise's (luet 0.40) package tarball: pax, sorted, no ``./``, no entry for the root, numeric owners. The
tarball holds more attributes than luet writes; its client reads them.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from farm.plan.job import WORKDIR, Digest, Pack
from farm.spec.problem import error
from farm.spec.regex import compile_go
from farm.store.blobs import BlobWriter
from farm.store.compress import compressor
from farm.store.entry import FOLDER, WHITEOUT, Entry, link_up
from farm.store.funnel import Funnel
from farm.store.reach import Reach
from farm.store.tarwriter import write_tar
from farm.store.union import Skip, Union, walk_layer

if TYPE_CHECKING:
    from farm.store.store import Store


@dataclasses.dataclass(frozen=True, slots=True)
class PackageInfo:
    """A package: blob digest, size of the blob in bytes, number of entries that are no folders, deleted paths."""

    digest: Digest
    size: int
    files: int
    deleted: tuple[str, ...] = ()


def make_package(store: Store, action: Pack) -> PackageInfo:
    """Packs what the action says. FarmError ``package-dir-missing``, ``bad-regex``, ``missing-layer``."""
    layers = store.layer_paths([str(ref) for ref in action.layers])
    chosen = Chosen(action)
    with Union(layers) as union:
        entries = _entries(action, layers, union, chosen)
        digest, size, files = _write(store, entries, action)
    store.add_object("blob", digest, size)
    deleted = deletions(layers, chosen) if action.rule == "delta" and layers else ()
    return PackageInfo(digest, size, files, deleted)


def write_layer(layer: Path, out: BinaryIO) -> None:
    """The canonical tar of an unpacked layer."""
    with Reach(layer) as reach, Funnel(out.write) as funnel:
        write_tar(link_up(walk_layer(reach)), funnel.write)
        funnel.finish()


class Chosen:
    """What ``includes`` and ``excludes`` choose, both matched against ``/path``.

    An exclude takes away all that is below, too. An include keeps the entry and its parents.
    """

    def __init__(self, action: Pack) -> None:
        self._includes = [compile_go(text) for text in action.includes]
        self._excludes = [compile_go(text) for text in action.excludes]
        self._workdir = os.fsencode(WORKDIR[1:])
        self._hide_workdir = action.rule != "dir" or action.root.strip("/") == ""

    @property
    def skip(self) -> Skip | None:
        """What a walk leaves out with all below it. None: nothing."""
        return self._skips if self._excludes or self._hide_workdir else None

    def keeps(self, path: bytes) -> bool:
        """Whether an include asks for the entry."""
        return not self._includes or _matches(self._includes, path)

    def only(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries that are kept. A folder above a kept entry is kept, and comes just before it."""
        if not self._includes:
            yield from entries
            return
        waiting: list[Entry] = []
        for entry in entries:
            while waiting and not entry.path.startswith(waiting[-1].path + b"/"):
                waiting.pop()
            if self.keeps(entry.path):
                yield from waiting
                waiting.clear()
                yield entry
            elif entry.kind == FOLDER:
                waiting.append(entry)

    def _skips(self, path: bytes) -> bool:
        if self._hide_workdir and path == self._workdir:
            return True
        return bool(self._excludes) and _matches(self._excludes, path)


def deletions(layers: Sequence[Path], chosen: Chosen) -> tuple[str, ...]:
    """Paths that the last layer deletes from those below it and that the package covers."""
    found: list[bytes] = []
    with Reach(layers[-1]) as last, Union(layers[:-1]) as below:
        hidden: bytes | None = None
        for entry in walk_layer(last, chosen.skip):
            if hidden is not None and not entry.path.startswith(hidden):
                hidden = None
            if entry.kind == WHITEOUT:
                found.append(entry.path)
            elif entry.opaque and hidden is None:
                hidden = entry.path + b"/"
            if entry.kind == FOLDER and (entry.opaque or hidden is not None):
                found += _hidden_names(entry.path, last, below)
    return tuple(sorted("/" + os.fsdecode(path) for path in found if chosen.keeps(path)))


def _hidden_names(folder: bytes, last: Reach, below: Union) -> list[bytes]:
    holders = below.lookup(folder)
    if not holders or not os.path.isdir(holders[0].at(folder)):
        return []
    present = set(os.listdir(last.at(folder)))
    return [folder + b"/" + name for name in below.children(holders, folder) if name not in present]


def _entries(action: Pack, layers: Sequence[Path], union: Union, chosen: Chosen) -> Iterator[Entry]:
    if action.rule == "empty" or not layers:
        return iter(())
    if action.rule == "delta":
        return chosen.only(_delta(Reach(layers[-1]), chosen))
    top = _top(action, union) if action.rule == "dir" else b""
    return chosen.only(union.walk(top, chosen.skip))


def _delta(last: Reach, chosen: Chosen) -> Iterator[Entry]:
    with last:
        for entry in walk_layer(last, chosen.skip):
            if entry.kind != WHITEOUT:
                entry.opaque = False
                yield entry


def _top(action: Pack, union: Union) -> bytes:
    top = union.resolve(os.fsencode(action.root))
    entry = union.entry(top) if top else None
    if top is None or (entry is not None and entry.kind != FOLDER):
        raise error(
            "package-dir-missing", f"package_dir {action.root} is no folder in the root", hint=_near(action.root, union)
        )
    return top


def _near(root: str, union: Union) -> str:
    """Names near the first part of the path that is not there."""
    done = ""
    for part in filter(None, root.split("/")):
        if union.resolve(os.fsencode(f"{done}/{part}")) is None:
            folder = union.resolve(os.fsencode(done)) or b""
            names = [os.fsdecode(name) for name in union.names(folder)]
            near = difflib.get_close_matches(part, names, 5, 0.5) or names[:10]
            return f"{done or '/'} has: {', '.join(near) or 'nothing'}"
        done = f"{done}/{part}"
    return ""


def _write(store: Store, entries: Iterator[Entry], action: Pack) -> tuple[Digest, int, int]:
    packer = compressor(action.compression)
    counted = _Counted(entries, action.epoch)
    with BlobWriter(store.root, store.session) as blob:
        with Funnel(lambda piece: blob.write(packer.compress(piece))) as funnel:
            write_tar(link_up(counted), funnel.write)
            funnel.finish()
        blob.write(packer.flush())
        return blob.commit(), blob.size, counted.files


class _Counted:
    """Entries with their times clamped; counts those that are no folders."""

    def __init__(self, entries: Iterator[Entry], epoch: int) -> None:
        self._entries = entries
        self._epoch = epoch
        self.files = 0

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            if entry.kind != FOLDER:
                self.files += 1
            if entry.mtime > self._epoch:
                entry.mtime = self._epoch
            yield entry


def _matches(patterns: Sequence[re.Pattern[str]], path: bytes) -> bool:
    text = "/" + os.fsdecode(path)
    return any(pattern.search(text) for pattern in patterns)
