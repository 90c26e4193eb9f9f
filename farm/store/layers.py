# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers: what an overlay's upper directory becomes, and the digest it has."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from farm.spec.problem import error
from farm.store.entry import Entry, link_up
from farm.store.funnel import Funnel
from farm.store.reach import Reach
from farm.store.tarwriter import WHITEOUT_PREFIX, write_tar
from farm.store.union import walk_layer


@dataclasses.dataclass(frozen=True, slots=True)
class LayerInfo:
    """A layer: ``size`` of its canonical tar in bytes, number of entries, and the paths (``/path``) it deletes."""

    digest: str
    size: int
    entries: int
    deleted: tuple[str, ...] = ()


def layer_path(root: Path, digest: str) -> Path:
    """The folder to mount, whether it is there or not."""
    return root / "layers" / digest[:2] / digest / "fs"


def digest_entries(entries: Iterable[Entry]) -> LayerInfo:
    """Digest, size and number of the entries, which come in the order of a walk."""
    state = hashlib.sha256()
    with Funnel(state.update) as funnel:
        count = write_tar(link_up(entries), funnel.write)
        funnel.finish()
    return LayerInfo(state.hexdigest(), funnel.size, count)


def digest_layer(path: Path) -> LayerInfo:
    """Digest of an unpacked layer as it lies on disk."""
    with Reach(path) as layer:
        return digest_entries(walk_layer(layer))


def located(entries: Iterable[Entry], root: Path) -> Iterator[Entry]:
    """The entries of a tree that now lies at ``root``."""
    with Reach(root) as reach:
        for entry in entries:
            entry.source = reach.entry(entry.path)
            yield entry


def check_names(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Refuses names that the canonical tar uses for whiteouts (FarmError ``reserved-name``)."""
    for entry in entries:
        if entry.path.rpartition(b"/")[2].startswith(WHITEOUT_PREFIX):
            hint = f"names that begin with {os.fsdecode(WHITEOUT_PREFIX)} mean deletions in every container format"
            raise error("reserved-name", f"/{os.fsdecode(entry.path)} cannot be part of a layer", hint=hint)
        yield entry
