# SPDX-License-Identifier: GPL-3.0-or-later
"""Which objects are there, and whole: the file system says what exists, the records what need not be looked into."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from farm.plan.job import Digest
from farm.store import blobs, damage, layers
from farm.store.records import Records


class Presence:
    """The objects of the store in folder ``root``. ``boot`` is the kernel's boot id."""

    def __init__(self, root: Path, records: Records) -> None:
        self.boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self._root = root
        self._records = records
        self._trusted: set[tuple[str, str]] = records.known(self.boot)
        self._blob_sizes = records.blob_sizes()

    def path(self, kind: str, digest: Digest) -> Path:
        """The file of a blob or the folder of a layer, whether it is there or not."""
        return blobs.blob_path(self._root, digest) if kind == "blob" else layers.layer_path(self._root, digest).parent

    def has(self, kind: str, digest: Digest) -> bool:
        """Whether it is there. What a crash may have damaged is put aside and is not."""
        if kind == "blob":
            return self._has_size(digest)
        path = layers.layer_path(self._root, digest)
        if not path.exists():
            return False
        return (kind, digest) in self._trusted or self._is_whole(digest, path)

    def add(self, kind: str, digest: Digest, size: int) -> None:
        """From now on it is trusted: it was just made."""
        self._trusted.add((kind, digest))
        if kind == "blob":
            self._blob_sizes[digest] = size

    def put_aside(self, kind: str, digest: Digest) -> damage.Damage:
        """Moves a damaged object out of the way and withdraws what may have been made from it.

        Withdrawn first, so that a kill leaves no result behind; and again, for what began before the object was gone.
        """
        aside = self._root / "damaged" / f"{kind}-{digest}-{os.urandom(4).hex()}"
        good, withdrawn = damage.withdraw(self._records, kind, digest)
        with contextlib.suppress(FileNotFoundError):
            self.path(kind, digest).rename(aside)
        withdrawn += damage.withdraw(self._records, kind, digest)[1]
        self._records.forget([(kind, digest)])
        self._trusted.discard((kind, digest))
        self._blob_sizes.pop(digest, None)
        return damage.Damage(kind, digest, aside, good, tuple(withdrawn))

    def _has_size(self, digest: Digest) -> bool:
        """Whether a blob is there and has its size: one that was cut off is put aside, to be made again."""
        try:
            size = blobs.blob_path(self._root, digest).stat().st_size
        except FileNotFoundError:
            return False
        if size == self._blob_sizes.get(digest, size):
            return True
        self.put_aside("blob", digest)
        return False

    def _is_whole(self, digest: Digest, path: Path) -> bool:
        """Verifies a layer that no row of this boot vouches for.

        One of an earlier boot is read from the disk, so it is safe there. One without a row was made by a
        process that died, or is just about to write the row.
        """
        row = self._records.object("layer", digest)
        if row is not None and row[3] in ("", self.boot):
            self._trusted.add(("layer", digest))
            return True
        before = damage.last_result(self._records)
        info = layers.digest_layer(path)
        if info.digest != digest:
            self.put_aside("layer", digest)
            return False
        self._trusted.add(("layer", digest))
        deleted, boot = (row[2], "") if row else ((), self.boot)
        with self._records.writing():
            self._records.put_object("layer", digest, info.size, info.entries, deleted, boot)
            damage.note_good(self._records, "layer", digest, before)
        return True
