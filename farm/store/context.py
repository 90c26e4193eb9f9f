# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers that the store makes itself: a job's inputs, and many layers made one."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import posixpath
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farm.plan.job import ArchiveInput, CopyInput, Digest, FileInput, Input
from farm.plan.node import Result, key_of
from farm.spec.problem import error
from farm.store.builder import Builder
from farm.store.copying import copies
from farm.store.entry import FILE, FOLDER, SYMLINK, Entry, chunks, link_up
from farm.store.union import Union
from farm.store.unpack import unpack_source

if TYPE_CHECKING:
    from farm.store.store import Store

_CHUNK = 1 << 20


def make_context(
    store: Store, inputs: Sequence[Input], workdir: str | None, epoch: int, layers: Sequence[Digest]
) -> Digest:
    """See `Store.context_layer`. Only inputs outside ``workdir`` depend on ``layers``; None: there is none."""
    inside = workdir and all(_absolute(item.dest, workdir).startswith(workdir.rstrip("/") + "/") for item in inputs)
    below = () if inside else tuple(layers)
    document = {
        "kind": "context",
        "inputs": [_plain(item) for item in inputs],
        "workdir": workdir,
        "epoch": epoch,
        "layers": list(below),
    }

    def fill(root: Path) -> None:
        with Union(store.layer_paths(below)) as union:
            _Context(store, union, Builder(root, epoch), workdir, epoch).fill(inputs)

    return _cached(store, document, fill)


def make_flat(store: Store, digests: Sequence[Digest]) -> Digest:
    """See `Store.flatten`."""

    def fill(root: Path) -> None:
        builder = Builder(root)
        with Union(store.layer_paths(digests)) as union:
            for entry in link_up(union.walk()):
                builder.add(entry, chunks(entry) if entry.kind == FILE else ())
        builder.finish()

    return _cached(store, {"kind": "flatten", "layers": list(digests)}, fill)


def _cached(store: Store, document: dict[str, Any], fill: Callable[[Path], None]) -> Digest:
    key = key_of(document)
    known = store.lookup(key)
    if known is not None and known.layer is not None:
        return known.layer
    since = store.damages()
    with store.scratch("layer") as folder:
        root = folder / "fs"
        root.mkdir()
        fill(root)
        info = store.take_layer(root)
    store.record(key, document, Result(layer=info.digest, size=info.size), since=since)
    return info.digest


class _Context:
    """Puts inputs into a builder, one after the other."""

    def __init__(self, store: Store, below: Union, builder: Builder, workdir: str | None, epoch: int) -> None:
        self._store = store
        self._below = below
        self._builder = builder
        self._workdir = workdir
        self._epoch = epoch

    def fill(self, inputs: Sequence[Input]) -> None:
        """All of it."""
        if self._workdir is not None:
            workdir = self._place(self._workdir)
            self._parents(workdir + b"/")
            self._builder.opaque(workdir)
        for item in inputs:
            match item:
                case FileInput():
                    self._file(item)
                case ArchiveInput():
                    self._archive(item)
                case CopyInput():
                    self._copy(item)
        self._builder.finish()

    def _file(self, item: FileInput) -> None:
        path = self._place(item.dest)
        self._parents(path)
        if item.digest is not None:
            entry = Entry(path, FILE, item.mode & 0o7777, mtime=self._epoch)
            self._builder.add(entry, _verified(self._source(item), str(item.digest)))
        elif item.link is not None:
            self._builder.add(Entry(path, SYMLINK, 0o777, mtime=self._epoch, link=os.fsencode(item.link)))
        else:
            mode = item.mode & 0o7777 if item.mode & 0o111 else 0o755
            self._builder.add(Entry(path, FOLDER, mode, mtime=self._epoch))

    def _archive(self, item: ArchiveInput) -> None:
        digest = str(item.digest)
        if item.origin is not None and not self._store.has_blob(digest):
            self._store.put_blob(Path(item.origin), digest)
        dest = self._place(item.dest)
        self._parents(dest + b"/")
        unpack_source(self._store.sound_blob(digest), self._builder, dest, item.strip)

    def _source(self, item: FileInput) -> Path:
        if self._store.has_blob(str(item.digest)):
            return self._store.blob_path(str(item.digest))
        if item.origin is None or not Path(item.origin).is_file():
            raise error("missing-blob", f"there is no content for {item.dest}: {item.origin or item.digest}")
        return Path(item.origin)

    def _copy(self, item: CopyInput) -> None:
        with Union(self._store.layer_paths([str(ref) for ref in item.layers])) as union:
            for entry, content in copies(union, item.source, self._target(item)):
                self._parents(entry.path)
                if entry.kind == FOLDER and self._builder.has(entry.path) == FOLDER:
                    continue
                entry.uid = entry.gid = 0
                self._builder.add(entry, content)

    def _target(self, item: CopyInput) -> tuple[bytes, bool]:
        """Where to, and whether that is a folder that things go into."""
        path = self._place(item.dest)
        there = self._below.entry(path) if path else None
        is_folder = item.dest.endswith("/") or not path or self._builder.has(path) == FOLDER
        return path, is_folder or (there is not None and there.kind == FOLDER)

    def _place(self, dest: str) -> bytes:
        path = _absolute(dest, self._workdir or "/")
        return self._below.place(os.fsencode(path.strip("/")))

    def _parents(self, path: bytes) -> None:
        """Makes the folders above ``path`` as the layers below have them."""
        folder = path.rpartition(b"/")[0]
        missing: list[bytes] = []
        while folder and self._builder.has(folder) is None:
            missing.append(folder)
            folder = folder.rpartition(b"/")[0]
        for folder in reversed(missing):
            below = self._below.entry(folder)
            if below is not None and below.kind == FOLDER:
                self._builder.add(below)
            else:
                self._builder.add(Entry(folder, FOLDER, 0o755, mtime=self._epoch))


def _absolute(dest: str, workdir: str) -> str:
    if ".." in dest.split("/"):
        raise error("bad-path", f"{dest!r} has .. in it")
    path = posixpath.normpath(posixpath.join(workdir, dest))
    return "/" + path.lstrip("/")


def _verified(path: Path, digest: str) -> Iterator[bytes]:
    """The bytes of a file. FarmError ``tree-changed`` at its end when they are not those of ``digest``."""
    state = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(_CHUNK):
            state.update(data)
            yield data
    if state.hexdigest() != digest:
        raise error("tree-changed", f"{path} is not what it was when the tree was read", hint="start the build again")


def _plain(item: Input) -> dict[str, Any]:
    fields = dataclasses.asdict(item)
    fields.pop("origin", None)
    return {"is": type(item).__name__, **fields}
