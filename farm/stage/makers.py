# SPDX-License-Identifier: GPL-3.0-or-later
"""Makers of outputs: tarballs, lists of what is in them, and the documents of OCI images.

All give blobs: what was made is kept by the store, and publishing it (farm/stage/publish.py) only copies.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from farm.engine.making import Making
from farm.plan.job import Work
from farm.plan.node import Result
from farm.spec.problem import error
from farm.spec.regex import compile_go
from farm.stage.contents import line
from farm.stage.lxd import lxd_entries
from farm.stage.outputs import ARCHIVE, CONTENTS, IMAGE
from farm.stage.seeds import OCI, SIGNED, OciLayout, SignedArchive
from farm.store.blobs import BlobWriter
from farm.store.compress import Compressor, compressor
from farm.store.entry import Entry, link_up
from farm.store.funnel import Funnel
from farm.store.ociimage import image_documents
from farm.store.tarwriter import write_tar
from farm.store.union import Union

if TYPE_CHECKING:
    from farm.store.store import Store


class _Fixed:
    """A maker of works that need nothing to be made definite."""

    def identify(self, work: Work) -> Work:
        """``work`` itself."""
        return work


class Archive(_Fixed):
    """The tarball of a root: the canonical tar, compressed."""

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """FarmError ``cancelled``, ``missing-layer``."""
        packer = compressor(work.setting("compression"), int(work.setting("level")))  # type: ignore[arg-type]
        with BlobWriter(store.root, store.session) as blob:
            _stream(work, store, packer, blob.write, cancel)
            digest = blob.commit()
            store.add_object("blob", digest, blob.size)
            return Result(blob=digest, size=blob.size)


class Contents(_Fixed):
    """What is in the tarball, one entry a line as ``tar -tv`` shows it, compressed with gzip."""

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """FarmError ``missing-layer``."""
        width, lines = 0, []
        with _union(work, store) as union, store.scratch("stage") as scratch:
            for entry in link_up(_entries(work, union, scratch)):
                text, width = line(entry, width)
                lines.append(text)
        content = gzip.compress(b"".join(lines), 9, mtime=0)
        return Result(blob=store.put_blob(content), size=len(content))


class Image(_Fixed):
    """The documents of an OCI image whose only layer is a tarball compressed with gzip."""

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """A JSON document of texts by digest, and of the descriptor of the manifest."""
        layer = str(work.blobs[0])
        path = store.blob_path(layer)
        env = [f"{key}={value}" for key, value in json.loads(work.setting("env"))]
        documents = image_documents(
            layer, path.stat().st_size, _inner_digest(path), work.setting("platform"), env, int(work.setting("epoch"))
        )
        content = json.dumps(documents, sort_keys=True).encode()
        return Result(blob=store.put_blob(content), size=len(content))


def makers() -> dict[str, Making]:
    """All makers of this product, by name."""
    return {ARCHIVE: Archive(), CONTENTS: Contents(), IMAGE: Image(), SIGNED: SignedArchive(), OCI: OciLayout()}


def _stream(
    work: Work, store: Store, packer: Compressor, put: Callable[[bytes], object], cancel: threading.Event
) -> None:
    with _union(work, store) as union, store.scratch("stage") as scratch:
        with Funnel(lambda piece: put(packer.compress(piece))) as funnel:
            write_tar(_watched(link_up(_entries(work, union, scratch)), cancel), funnel.write)
            funnel.finish()
        put(packer.flush())


def _union(work: Work, store: Store) -> Union:
    """The root. Of two equal layers the upper hides the lower, as in a mount."""
    layers = dict.fromkeys(reversed([str(ref) for ref in work.layers]))
    return Union(store.layer_paths(list(reversed(layers))))


def _entries(work: Work, union: Union, scratch: Path) -> Iterator[Entry]:
    """The root's entries with their times clamped; below ``rootfs`` for an LXD image."""
    patterns = [compile_go(text) for text in json.loads(work.setting("excludes") or "[]")]
    skip = _skip([pattern.search for pattern in patterns]) if patterns else None
    entries = _clamped(union.walk(b"", skip), int(work.setting("epoch")))
    if metadata := work.setting("lxd"):
        return lxd_entries(entries, json.loads(metadata), scratch)
    return entries


def _skip(searches: Sequence[Callable[[str], object]]) -> Callable[[bytes], bool]:
    def skips(path: bytes) -> bool:
        text = "/" + path.decode("utf-8", "surrogateescape")
        return any(search(text) for search in searches)

    return skips


def _clamped(entries: Iterator[Entry], epoch: int) -> Iterator[Entry]:
    for entry in entries:
        entry.mtime = min(entry.mtime, epoch)
        yield entry


def _watched(entries: Iterator[Entry], cancel: threading.Event) -> Iterator[Entry]:
    for entry in entries:
        if cancel.is_set():
            raise error("cancelled", "cancelled")
        yield entry


def _inner_digest(path: Path) -> str:
    """The sha256 of what a gzip file holds."""
    inner, unpacker = hashlib.sha256(), zlib.decompressobj(31)
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            inner.update(unpacker.decompress(piece))
    inner.update(unpacker.flush())
    return inner.hexdigest()
