# SPDX-License-Identifier: GPL-3.0-or-later
"""What every root is made of: the skeleton, the job's layers, its inputs. The same for all runners."""

from __future__ import annotations

from collections.abc import Iterable

from farm.plan.job import Digest, Job
from farm.plan.node import Result, key_of
from farm.runner.skeleton import FOLDERS, NAMES, make_skeleton
from farm.store.store import Store


def root_layers(job: Job, store: Store, most: int) -> tuple[Digest, ...]:
    """All layers of the job's root, lowest first: skeleton, the job's own (flattened above ``most``), its inputs."""
    skeleton = skeleton_layer(store)
    layers = _each_once((skeleton, *map(str, job.layers)))
    if len(layers) > most:
        layers = (store.flatten(layers),)
    if not job.fresh_workdir:
        return layers
    context = store.context_layer(job.inputs, workdir=job.workdir, epoch=job.epoch, layers=layers)
    return _each_once((*layers, context))


def _each_once(layers: Iterable[Digest]) -> tuple[Digest, ...]:
    """Overlayfs takes no directory twice. The upper of two equal layers hides all of the lower one."""
    return tuple(reversed(dict.fromkeys(reversed(tuple(layers)))))


def skeleton_layer(store: Store) -> Digest:
    """The layer below all others. It is never part of what a job makes."""
    document = {"kind": "skeleton", "folders": FOLDERS, "names": NAMES}
    key = key_of(document)
    known = store.lookup(key)
    if known is not None and known.layer is not None:
        return known.layer
    with store.scratch("skeleton") as scratch:
        (scratch / "root").mkdir(mode=0o755)
        make_skeleton(scratch / "root")
        made = store.commit_layer(scratch / "root", (), epoch=0)
    store.record(key, document, Result(layer=made.digest, size=made.size))
    return made.digest
