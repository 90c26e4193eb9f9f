# SPDX-License-Identifier: GPL-3.0-or-later
"""Makers of what is no hook: the root out of a tarball or a folder, the tarball, and its place."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farm.engine.making import Making
from farm.plan.job import Work
from farm.plan.node import Result
from farm.spec.problem import FarmError, Problem, error
from farm.stage.metro.download import Download, looked_at_anew, room_for
from farm.stage.metro.model import TarRules
from farm.stage.metro.plan import DELIVER, DOWNLOAD, TAKE, TARBALL, UNPACK
from farm.stage.metro.tarformers import Rewriting
from farm.store.blobs import BlobWriter
from farm.store.builder import Builder
from farm.store.compress import Compressor, compressor
from farm.store.entry import FILE, FOLDER, HARDLINK, Entry, chunks, link_up
from farm.store.funnel import Funnel
from farm.store.outputs import ALGORITHMS, put_blob, put_bytes
from farm.store.removal import mounts_below
from farm.store.tarwriter import write_tar
from farm.store.union import Union

if TYPE_CHECKING:
    from farm.store.store import Store


class _Fixed:
    """A maker of works that need nothing to be made definite."""

    def identify(self, work: Work) -> Work:
        """``work`` itself."""
        return work


class Unpack(_Fixed):
    """The layer of a root tarball, as the rules of ``tarformers_specs`` have it."""

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """FarmError ``bad-archive``, ``unsafe-archive``, ``disk-full``."""
        info = store.import_layer(store.blob_path(str(work.blobs[0])), skip=())
        rules = rules_of(work.setting("rules"))
        if rules != TarRules():
            with Union([store.layer_path(info.digest)]) as union, store.scratch("unpack") as folder:
                root = folder / "fs"
                fill(root, Rewriting(rules).apply(watched(link_up(union.walk()), cancel)))
                info = store.take_layer(root)
        return Result(layer=info.digest, size=info.size)


class Take:
    """The layer of a folder of the host (``--skip-source-phase``). Nothing may be mounted in it."""

    def identify(self, work: Work) -> Work:
        """Its content may have changed since it was last looked at."""
        return looked_at_anew(work)

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """FarmError ``no-rootfs``, ``mounted``."""
        source = Path(work.setting("folder"))
        if problems := rootfs_problems(source):
            raise FarmError(problems)
        with Union([source]) as union, store.scratch("take") as folder:
            root = folder / "fs"
            fill(root, watched(link_up(union.walk()), cancel))
            info = store.take_layer(root)
        return Result(layer=info.digest, size=info.size)


class Tarball(_Fixed):
    """The root's tarball: names begin with ``./``, as those of mark-devkit do; for the rest it is the canonical tar."""

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """FarmError ``cancelled``, ``missing-layer``."""
        packer = _packer(work.setting("compression"))
        epoch = int(work.setting("epoch"))
        layers = [str(ref) for ref in work.layers]
        with Union(store.layer_paths(_each_once(layers))) as union, BlobWriter(store.root, store.session) as blob:
            taken = Rewriting(rules_of(work.setting("rules"))).apply(link_up(watched(union.walk(), cancel)))
            with Funnel(lambda piece: blob.write(packer.compress(piece))) as funnel:
                write_tar(_dotted(taken, epoch), funnel.write)
                funnel.finish()
            blob.write(packer.flush())
            digest = blob.commit()
            store.add_object("blob", digest, blob.size)
            return Result(blob=digest, size=blob.size)


class Deliver:
    """Puts a tarball into its folder in one step, with ``.sha256`` and ``.sha512`` beside it."""

    def identify(self, work: Work) -> Work:
        """What is gone from its place has to be put there again."""
        if (Path(work.setting("folder")) / work.setting("name")).is_file():
            return work
        return looked_at_anew(work)

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """FarmError ``disk-full``, ``damaged-blob``; raises OSError."""
        blob = str(work.blobs[0])
        folder, name = Path(work.setting("folder")), work.setting("name")
        folder.mkdir(parents=True, exist_ok=True)
        with room_for(folder / name):
            digests = put_blob(store, blob, folder / name)
            (folder / name).chmod(0o644)
            for kind in ALGORITHMS:
                put_bytes(folder / f"{name}.{kind}", digests.line(kind, name).encode())
        with open(log, "a", encoding="utf-8") as out:
            print(f"{folder / name}\nsha256 {blob}", file=out)
        return Result(blob=blob, size=digests.size)


def makers() -> dict[str, Making]:
    """All makers of this product, by name."""
    return {DOWNLOAD: Download(), UNPACK: Unpack(), TAKE: Take(), TARBALL: Tarball(), DELIVER: Deliver()}


def rules_of(text: str) -> TarRules:
    """Rules as a node has them."""
    data: dict[str, Any] = json.loads(text)
    return TarRules(**{key: _frozen(value) for key, value in data.items()})


def rootfs_problems(folder: Path) -> tuple[Problem, ...]:
    """Why a folder cannot be a root to go on with: ``no-rootfs``, ``mounted``."""
    if not folder.is_dir() or not any(folder.iterdir()):
        hint = "run once with --cleanup=false, or without --skip-source-phase"
        return (Problem("no-rootfs", f"there is no root in {folder}", hint=hint),)
    mounts = mounts_below(folder.resolve())
    return tuple(Problem("mounted", f"{path} is mounted in the root", hint=f"umount {path}") for path in mounts)


def fill(root: Path, entries: Iterable[Entry]) -> None:
    """Makes the folder ``root`` with these entries in it."""
    root.mkdir(mode=0o755)
    builder = Builder(root)
    for entry in entries:
        builder.add(entry, chunks(entry) if entry.kind == FILE else ())
    builder.finish()


def watched(entries: Iterable[Entry], cancel: threading.Event) -> Iterator[Entry]:
    """The entries, until ``cancel`` is set. FarmError ``cancelled``."""
    for entry in entries:
        if cancel.is_set():
            raise error("cancelled", "cancelled")
        yield entry


def _dotted(entries: Iterable[Entry], epoch: int) -> Iterator[Entry]:
    yield Entry(b".", FOLDER, 0o755, mtime=epoch)
    for entry in entries:
        entry.path = b"./" + entry.path
        if entry.kind == HARDLINK:
            entry.link = b"./" + entry.link
        entry.mtime = min(entry.mtime, epoch)
        yield entry


def _packer(kind: str) -> Compressor:
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Compressor(9)
    return compressor(kind)  # type: ignore[arg-type]


def _each_once(layers: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(reversed(layers)))[::-1]


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
