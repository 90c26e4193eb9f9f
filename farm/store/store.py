# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: everything the farm makes, by content. See docs/store.md for what is on disk and why it is safe."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from farm.plan.job import EPOCH, Assemble, Digest, Input, Pack
from farm.plan.node import Result
from farm.spec.problem import FarmError, Problem, error
from farm.store import blobs, damage, layers, session
from farm.store.layers import LayerInfo, check_names, digest_entries, located
from farm.store.normalise import Normaliser, drop
from farm.store.presence import Presence
from farm.store.records import Records
from farm.store.removal import remove_tree

if TYPE_CHECKING:
    from farm.store.gc import Collected
    from farm.store.pack import PackageInfo

_FOLDERS = {
    **dict.fromkeys(("blobs", "sessions", "locks"), 0o755),
    **dict.fromkeys(("layers", "tmp", "failed", "damaged", "trash"), 0o700),
}
"""Folders with their modes. Roots may hold set-id programs, which are nobody else's to run."""


class Store:
    """A store in folder ``root``, which is made when it is missing. Thread-safe; many processes may use one."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root).absolute()
        for name, mode in _FOLDERS.items():
            (self.root / name).mkdir(mode, parents=True, exist_ok=True)
        self.session = session.Session(self.root)
        self.records = Records(self.root / "store.db")
        self._presence = Presence(self.root, self.records)
        self._mutex = threading.Lock()
        self._used: set[tuple[str, str]] = set()
        self._unwritten: set[tuple[str, str]] = set()
        self._used_keys: set[str] = set()

    def close(self) -> None:
        """Writes down what was used and removes what is private to this process."""
        self._try_to_flush_used()
        self.session.close()
        self.records.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Blobs

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob exists. From then on no garbage collection takes it from this process."""
        self._use([("blob", digest)])
        return self._presence.has("blob", digest)

    def blob_path(self, digest: Digest) -> Path:
        """The file of a blob. FarmError ``missing-blob``."""
        if not self.has_blob(digest):
            raise error("missing-blob", f"the store has no blob {digest}", hint=damage.AGAIN)
        return blobs.blob_path(self.root, digest)

    def sound_blob(self, digest: Digest) -> Path:
        """The file of a blob whose bytes were hashed just now. FarmError ``missing-blob``, ``damaged-blob``."""
        path = self.blob_path(digest)
        if blobs.digest_of(path) != digest:
            raise self.damaged_blob(digest, f"blob {digest}")
        return path

    def put_blob(self, source: Path | bytes | BinaryIO, expect: str | None = None) -> Digest:
        """Stores a file's, string's or stream's bytes. FarmError ``digest-mismatch`` when they are not ``expect``."""
        digest, size = blobs.put(self.root, self.session, source, expect)
        self.add_object("blob", digest, size)
        return digest

    # Layers

    def has_layer(self, digest: Digest) -> bool:
        """Whether the layer exists, whole. One that a crash of the host may have damaged is verified first."""
        self._use([("layer", digest)])
        return self._presence.has("layer", digest)

    def layer_path(self, digest: Digest) -> Path:
        """The folder to mount as an overlay's lower directory. FarmError ``missing-layer``."""
        if not self.has_layer(digest):
            raise error("missing-layer", f"the store has no layer {digest}", hint=damage.AGAIN)
        return layers.layer_path(self.root, digest)

    def layer_paths(self, digests: Sequence[Digest]) -> list[Path]:
        """`layer_path` of each."""
        self._use([("layer", digest) for digest in digests])
        return [self.layer_path(digest) for digest in digests]

    def commit_layer(
        self, upper: Path, lowers: Sequence[Path], *, drop: Sequence[str] = (), epoch: int = EPOCH
    ) -> LayerInfo:
        """Takes (moves) what changed in the overlay directory ``upper`` on top of ``lowers``, lowest first.

        ``upper`` has to be on the store's file system (a `scratch` is). ``drop``: absolute paths to leave out.
        FarmError ``reserved-name`` and ``overlay-feature`` for what no layer can hold.
        """
        return self._commit(upper, lowers, drop, epoch)

    def import_layer(
        self,
        archive: BinaryIO | Path,
        *,
        epoch: int | None = None,
        strip: int = 0,
        skip: Sequence[str] = ("dev", "proc", "sys"),
    ) -> LayerInfo:
        """Makes a layer of a root tarball in any compression.

        Content of the top folders ``skip`` is left out, the folders are kept. Times later than ``epoch`` are
        clamped. OCI whiteouts (``.wh.NAME``) become the layer's. FarmError ``unsafe-archive``, ``bad-archive``.
        """
        from farm.store.unpack import unpack

        with self.scratch("import") as folder:
            target = folder / "fs"
            target.mkdir(mode=0o755)
            unpack(archive, target, strip=strip, skip=skip)
            return self._commit(target, None, (), epoch)

    def context_layer(
        self, inputs: Sequence[Input], *, workdir: str, epoch: int = EPOCH, layers: Sequence[Digest] = ()
    ) -> Digest:
        """The layer that holds ``inputs``; ``workdir`` is in it and hides the same folder of all layers below.

        ``layers`` are those that it will lie on (lowest first): links among their folders are followed, and
        folders that they have keep their mode and owner. FarmError ``tree-changed``, ``copy-missing``, …
        """
        from farm.store.context import make_context

        return make_context(self, inputs, workdir, epoch, layers)

    def assemble(self, action: Assemble) -> LayerInfo:
        """The layer of inputs that stay in the root. FarmError as `context_layer`."""
        from farm.store.context import make_context

        layers = [str(ref) for ref in action.layers]
        digest = make_context(self, action.inputs, action.workdir, action.epoch, layers)
        size, entries, deleted, _ = self.records.object("layer", digest) or (0, 0, (), "")
        return LayerInfo(digest, size, entries, deleted)

    def write_layer_tar(self, digest: Digest, out: BinaryIO) -> None:
        """Writes the canonical tar, the one the digest is of, to ``out``."""
        from farm.store.pack import write_layer

        write_layer(self.layer_path(digest), out)

    def flatten(self, digests: Sequence[Digest]) -> Digest:
        """One layer that equals the union of ``digests``, lowest first."""
        from farm.store.context import make_flat

        return make_flat(self, digests)

    # Packages

    def pack(self, action: Pack) -> PackageInfo:
        """Makes a package tarball, kept as a blob. FarmError ``package-dir-missing``, ``bad-regex``."""
        from farm.store.pack import make_package

        return make_package(self, action)

    # Results

    def lookup(self, key: str) -> Result | None:
        """What the action of this key made, if all of it still exists."""
        return self.lookup_many([key]).get(key)

    def lookup_many(self, keys: Iterable[str]) -> dict[str, Result]:
        """`lookup` of many keys at once; those that were never made are left out."""
        found = {key: Result.from_json(data) for key, data in self.records.results(list(keys)).items()}
        self._use(made for result in found.values() for made in _made(result))
        with self._mutex:
            self._used_keys |= found.keys()
        has = self._presence.has
        return {key: result for key, result in found.items() if all(has(*made) for made in _made(result))}

    def record(self, key: str, document: dict[str, Any], result: Result, *, since: int | None = None) -> None:
        """Remembers what the action of ``key`` made, with the document that the key is the hash of.

        ``since``: what `damages` was when it began to read what it was made from. FarmError ``damaged-input``,
        transient, when something of that was found damaged meanwhile.
        """
        with self.records.writing():
            if since is not None and since < self.damages():
                damage.refuse_damaged(self.records, json.dumps(document), since)
            self.records.put_action(key, document, result.to_json())
            self._flush_used()

    def damages(self) -> int:
        """A number that grows whenever an object is found to be damaged."""
        return damage.last_damage(self.records)

    def remember(self, key: str, document: dict[str, Any]) -> None:
        """Keeps the key document of a job that failed, for `farm shell`."""
        self.records.put_document(key, document)

    def document(self, key: str) -> dict[str, Any] | None:
        """The key document of an action once recorded, also when what it made is gone."""
        return self.records.document(key)

    # Private and shared

    @contextlib.contextmanager
    def scratch(self, prefix: str = "job") -> Iterator[Path]:
        """A private empty folder on the store's file system, removed at exit; `sweep` removes those of the dead."""
        path = self.session.folder(prefix)
        try:
            yield path
        finally:
            remove_tree(path)

    @contextlib.contextmanager
    def lock(self, name: str, *, wait: bool | float = True) -> Iterator[bool]:
        """Holds the store-wide lock ``name``; yields whether it was had. ``wait``: as `session.locked` has it."""
        with session.locked(self.root / "locks" / session.lock_name(name), wait=wait) as had:
            yield had

    def keep_failed(self, job_key: str, upper: Path) -> Path:
        """Moves a failed job's upper directory to where `farm shell` finds it, in place of an older one."""
        path = self._failed_path(job_key)
        with self.lock("failed"), self.scratch("old") as old:
            if path.exists():
                path.rename(old / "root")
            upper.rename(path)
        return path

    def failed_root(self, job_key: str) -> Path | None:
        """What `keep_failed` kept last for this job."""
        path = self._failed_path(job_key)
        return path if path.is_dir() else None

    # Upkeep

    def sweep(self) -> int:
        """Removes what dead processes left, and makes what was made lately safe on disk. Number of things removed."""
        from farm.store.gc import empty_trash

        self.settle()
        return session.sweep(self.root) + empty_trash(self)

    def settle(self) -> None:
        """Writes all layers made in this boot to disk, so that a crash of the host cannot harm them any more."""
        if objects := self.records.unsettled(self._presence.boot):
            from farm.store.gc import sync

            sync(self.root)
            self.records.settle(objects)

    def df(self) -> dict[str, dict[str, int]]:
        """Bytes on disk and number of objects: ``{"blobs": {"count", "bytes"}, "layers": …, "failed": …, …}``."""
        from farm.store.gc import usage

        return usage(self)

    def gc(self, keep: int | None = None, free: int | None = None, *, dry_run: bool = False) -> Collected:
        """Removes what was used least lately until the store has at most ``keep`` bytes and ``free`` bytes are free.

        Nothing that a live process has looked up, opened or made is removed. Without marks only waste goes.
        """
        from farm.store.gc import collect

        self._try_to_flush_used()
        return collect(self, keep, free, dry_run=dry_run)

    def verify(self, *, dry_run: bool = False, names: damage.Names | None = None) -> list[Problem]:
        """Hashes all objects anew. A damaged one is put aside (folder ``damaged``) so that it is made again.

        Results that may have been made from one are withdrawn, with a warning each (``withdrawn-result``), in which
        ``names`` says what a key is the key of. ``dry_run``: nothing is changed, it is only told.
        """
        from farm.store.gc import verify

        return damage.told(verify(self, dry_run=dry_run), names)

    def pin(self, kind: str, digests: Iterable[Digest]) -> None:
        """Keeps objects (``layer`` or ``blob``) from collection as long as this process lives."""
        self._use([(kind, digest) for digest in digests])

    @property
    def pins(self) -> set[tuple[str, str]]:
        """What live processes hold (kind, digest)."""
        with self.lock("gc"):
            return session.pins(self.root)

    # For the modules of this floor

    def add_object(self, kind: str, digest: Digest, size: int, entries: int = 0, deleted: Sequence[str] = ()) -> None:
        """Notes an object just made."""
        self._use([(kind, digest)])
        self._presence.add(kind, digest, size)
        self.records.put_object(kind, digest, size, entries, deleted, "" if kind == "blob" else self._presence.boot)

    def take_layer(self, root: Path) -> LayerInfo:
        """Takes (moves) a whole layer as it is, whiteouts and opaque folders included."""
        return self._commit(root, None, (), None)

    def damaged_blob(self, digest: Digest, name: str) -> FarmError:
        """Moves a damaged blob out of the way (`found_damaged`): the error ``damaged-blob`` that tells of it."""
        aside = self.found_damaged("blob", digest).aside
        return error("damaged-blob", f"{name} was damaged in the store: see {aside}", hint=damage.AGAIN)

    def found_damaged(self, kind: str, digest: Digest) -> damage.Damage:
        """Moves a damaged object out of the way, and withdraws results that may have been made from it."""
        return self._presence.put_aside(kind, digest)

    def _commit(
        self, upper: Path, lowers: Sequence[Path] | None, dropped: Sequence[str], epoch: int | None
    ) -> LayerInfo:
        drop(upper, dropped)
        work = Normaliser(upper, lowers, epoch)
        work.run()
        info = digest_entries(check_names(located(work.entries, upper)))
        deleted = tuple(sorted("/" + os.fsdecode(path) for path in work.deleted))
        info = dataclasses.replace(info, deleted=deleted)
        self._use([("layer", info.digest)])
        self._take_in(upper, info)
        self.add_object("layer", info.digest, info.size, info.entries, info.deleted)
        return info

    def _take_in(self, upper: Path, info: LayerInfo) -> None:
        """The commit point: a complete folder gets its final name, unless another was first."""
        final = layers.layer_path(self.root, info.digest).parent
        if self._presence.has("layer", info.digest):
            remove_tree(upper)
            return
        stage = self.session.folder("layer")
        upper.rename(stage / "fs")
        final.parent.mkdir(exist_ok=True)
        try:
            stage.rename(final)
        except FileExistsError:
            remove_tree(stage)
        except OSError:
            if not final.exists():
                raise
            remove_tree(stage)

    def _use(self, objects: Iterable[tuple[str, str]]) -> None:
        used = set(objects)
        if new := used - self._used:
            self.session.pin(new)
        with self._mutex:
            self._used |= used
            self._unwritten |= used

    def _flush_used(self) -> None:
        with self._mutex:
            used, self._unwritten = self._unwritten, set()
            keys, self._used_keys = self._used_keys, set()
        self.records.touch(used, keys)

    def _try_to_flush_used(self) -> None:
        """The same, where the disk is not full; nothing depends on it but what is collected first."""
        with contextlib.suppress(sqlite3.OperationalError):
            self._flush_used()

    def _failed_path(self, job_key: str) -> Path:
        return self.root / "failed" / session.lock_name(job_key)


def _made(result: Result) -> list[tuple[str, str]]:
    made = (("layer", result.layer), ("blob", result.package), ("blob", result.blob))
    return [(kind, digest) for kind, digest in made if digest is not None]
