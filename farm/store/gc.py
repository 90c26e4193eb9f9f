# SPDX-License-Identifier: GPL-3.0-or-later
"""Upkeep of a store: what it takes up, what can go, whether it is sound."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from farm.store import damage, session
from farm.store.blobs import digest_of
from farm.store.layers import digest_layer
from farm.store.removal import remove_tree

if TYPE_CHECKING:
    from farm.store.store import Store

_FORGET = 90 * 86400
_BLOCK = 512


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Item:
    """Something in the store that could go. ``used``: when last, in seconds since 1970; ``size`` in bytes."""

    used: float
    kind: str
    name: str
    size: int
    path: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Collected:
    """What a collection removed, or would have (``dry_run``), in bytes, and what the store then holds."""

    removed: tuple[tuple[str, str, int], ...]
    freed: int
    kept: int
    dry_run: bool


def inventory(store: Store) -> list[Item]:
    """All blobs, layers and failed roots, the least lately used first."""
    rows = {(kind, digest): (used, size) for used, kind, digest, size in store.records.usage()}
    items: list[Item] = []
    for kind, path in _objects(store.root):
        used, size = rows.get((kind, path.name), (path.stat().st_mtime, -1))
        items.append(Item(used, kind, path.name, size if size >= 0 else disk_usage(path), path))
    for path in (store.root / "failed").iterdir():
        items.append(Item(path.stat().st_mtime, "failed", path.name, disk_usage(path), path))
    return sorted(items)


def usage(store: Store) -> dict[str, dict[str, int]]:
    """Number and bytes of each kind of thing in the store."""
    table = {kind: {"count": 0, "bytes": 0} for kind in ("blobs", "layers", "failed", "tmp", "trash", "damaged")}
    for item in inventory(store):
        row = table["failed" if item.kind == "failed" else item.kind + "s"]
        row["count"] += 1
        row["bytes"] += item.size
    for kind in ("tmp", "trash", "damaged"):
        paths = list((store.root / kind).iterdir())
        table[kind] = {"count": len(paths), "bytes": sum(disk_usage(path) for path in paths)}
    return table


def collect(store: Store, keep: int | None, free: int | None, *, dry_run: bool) -> Collected:
    """See `Store.gc`. Nothing is written before there is room: the disk may be full."""
    if not dry_run:
        session.sweep(store.root)
        empty_trash(store)
        _remove_damaged(store.root)
    with store.lock("gc"):
        pinned = session.pins(store.root)
        items = inventory(store)
        total = sum(item.size for item in items)
        chosen = _choose(items, pinned, total, keep, _missing(store.root, free))
        if not dry_run:
            for item in chosen:
                item.path.rename(store.root / "trash" / f"{item.name}-{os.urandom(4).hex()}")
    freed = sum(item.size for item in chosen)
    if not dry_run:
        empty_trash(store)
        with contextlib.suppress(sqlite3.OperationalError):  # still no room: rows without objects do no harm
            store.records.forget([(item.kind, item.name) for item in chosen])
            _forget_actions(store)
            store.settle()
    removed = tuple((item.kind, item.name, item.size) for item in chosen)
    return Collected(removed, freed, total - freed, dry_run)


def empty_trash(store: Store) -> int:
    """Deletes what collections renamed away; returns the number of things."""
    with store.lock("trash", wait=False) as had:
        paths = list((store.root / "trash").iterdir()) if had else []
        for path in paths:
            remove_tree(path)
    return len(paths)


def verify(store: Store, *, dry_run: bool = False) -> list[damage.Damage]:
    """See `Store.verify`."""
    found = []
    if not dry_run:
        damage.number_all(store.records)
    for kind, path in list(_objects(store.root)):
        if not path.exists():
            continue
        before = damage.last_result(store.records)
        digest = digest_of(path) if kind == "blob" else _layer_digest(path)
        if digest != path.name:
            found.append(_would_be(store, kind, path.name) if dry_run else store.found_damaged(kind, path.name))
        elif not dry_run:
            damage.note_good(store.records, kind, path.name, before)
    return found


def _would_be(store: Store, kind: str, digest: str) -> damage.Damage:
    good, withdrawn = damage.judge(store.records, kind, digest)
    return damage.Damage(kind, digest, None, good, tuple(withdrawn))


def disk_usage(path: Path) -> int:
    """Bytes that a file or folder takes up on disk, without following links."""
    info = path.lstat()
    total = info.st_blocks * _BLOCK
    if path.is_dir() and not path.is_symlink():
        for folder, _, names, fd in os.fwalk(path):
            del folder
            total += os.fstat(fd).st_blocks * _BLOCK
            total += sum(os.stat(name, dir_fd=fd, follow_symlinks=False).st_blocks * _BLOCK for name in names)
    return total


def sync(path: Path) -> None:
    """Writes the file system of ``path`` to disk (syncfs(2))."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), "syncfs", os.fspath(path))
    finally:
        os.close(fd)


def _objects(root: Path) -> Iterator[tuple[str, Path]]:
    for kind in ("blob", "layer"):
        for folder in sorted((root / f"{kind}s").iterdir()):
            for path in sorted(folder.iterdir()):
                yield kind, path


def _layer_digest(path: Path) -> str:
    try:
        return digest_layer(path / "fs").digest
    except OSError:
        return ""


def _choose(items: list[Item], pinned: set[session.Pin], total: int, keep: int | None, missing: int) -> list[Item]:
    chosen: list[Item] = []
    freed = 0
    for item in sorted(items, key=lambda item: (item.kind != "failed", item)):
        enough = freed >= missing and (keep is None or total - freed <= keep)
        if enough:
            break
        if (item.kind, item.name) not in pinned:
            chosen.append(item)
            freed += item.size
    return chosen


def _missing(root: Path, free: int | None) -> int:
    return 0 if free is None else max(0, free - shutil.disk_usage(root).free)


def _remove_damaged(root: Path) -> None:
    for path in (root / "damaged").iterdir():
        remove_tree(path)


def _forget_actions(store: Store) -> None:
    store.records.forget_actions(time.time() - _FORGET)
