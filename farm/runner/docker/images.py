# SPDX-License-Identifier: GPL-3.0-or-later
"""Images made of the store's layers.

An image is loaded from an archive in Docker's own form (``manifest.json``, a configuration, one ``layer.tar`` each;
moby's image/spec/v1.2.md). A layer's digest *is* the sha256 of its canonical tar, so it is the ``diff_id``
too. The engine knows a layer only together with all below it (its *chain*) and keeps it as long as an image
has it. So besides each job's own image, which lives as long as the job, the images of the last
`KEPT` layer stacks are kept while the farm runs; of layers they hold only the name is sent.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from farm.plan.job import Digest
from farm.runner.docker.owner import labels
from farm.spec.problem import error

if TYPE_CHECKING:
    from docker import DockerClient

    from farm.store.store import Store

KEPT = 32
"""Layer stacks that stay loaded while the farm runs."""

DEEPEST = 120
"""Layers an image may have: the engine's own limit is 125 (moby's layer/layer_store.go) and falls with its version."""

Chain = tuple[Digest, ...]


class Images:
    """The images of one runner in one engine. Safe to use from several threads; loads come one at a time."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._mutex = threading.Lock()
        self._stacks: collections.OrderedDict[tuple[str, Chain], str] = collections.OrderedDict()

    @contextlib.contextmanager
    def image(
        self, client: DockerClient, store: Store, chain: Chain, *, stack: int, platform: str, job: str
    ) -> Iterator[str]:
        """The id of a job's image, which is removed afterwards.

        ``chain`` holds the layers, lowest first; its first ``stack`` are likely to be used again.
        """
        own = labels(self._run, job, store_name(store))
        shared = labels(self._run, "stack", store_name(store))
        wanted = [(chain, own)] if stack == 0 else [(chain, own), (chain[:stack], shared)]
        with self._mutex:
            made = self._load(client, store, wanted, platform)
            if stack:
                self._keep(client, (platform, chain[:stack]), made[1])
        try:
            yield made[0]
        finally:
            _remove(client, made[0])

    def _load(
        self, client: DockerClient, store: Store, wanted: list[tuple[Chain, dict[str, str]]], platform: str
    ) -> list[str]:
        known = {chain[: n + 1] for _, chain in self._stacks for n in range(len(chain))}
        try:
            return _load(client, store, wanted, platform, known)
        except _LayerGone:
            self._stacks.clear()
            return _load(client, store, wanted, platform, set())

    def _keep(self, client: DockerClient, stack: tuple[str, Chain], image: str) -> None:
        self._stacks[stack] = image
        self._stacks.move_to_end(stack)
        while len(self._stacks) > KEPT:
            _remove(client, self._stacks.popitem(last=False)[1])


class _LayerGone(Exception):
    """The engine no longer has a layer that was not sent: somebody removed our images."""


def store_name(store: Store) -> str:
    """How labels name a store."""
    return str(store.root)


def _remove(client: DockerClient, image: str) -> None:
    import docker

    with contextlib.suppress(docker.errors.APIError):
        client.api.remove_image(image, force=True)


def _load(
    client: DockerClient,
    store: Store,
    wanted: list[tuple[Chain, dict[str, str]]],
    platform: str,
    known: set[Chain],
) -> list[str]:
    """Loads one image for each chain with its labels; returns their ids."""
    with store.scratch("docker") as folder:
        path = folder / "images.tar"
        ids = write_archive(path, store, wanted, platform, known)
        with path.open("rb") as archive:
            problem = _send(client, archive)
    if problem is None:
        return ids
    if known and "no such file" in problem:
        raise _LayerGone
    raise error("docker-load", f"the engine does not take the job's root: {problem}", transient=True)


def _send(client: DockerClient, archive: BinaryIO) -> str | None:
    """What the engine has against the archive; None when it took it."""
    import docker

    try:
        for line in client.api.load_image(archive, quiet=True):  # type: ignore[no-untyped-call]
            if "error" in line:
                return str(line["error"])
    except docker.errors.APIError as problem:
        return str(problem.explanation or problem)
    return None


def write_archive(
    path: Path, store: Store, wanted: list[tuple[Chain, dict[str, str]]], platform: str, known: set[Chain]
) -> list[str]:
    """Writes an archive of images to ``path``, without the content of layers of ``known`` chains. Returns their ids."""
    ids, manifest, written = [], [], set()
    with path.open("wb") as out:
        for chain, own in wanted:
            for depth, digest in enumerate(chain, 1):
                if chain[:depth] not in known and digest not in written:
                    _write_layer(out, store, digest)
                    written.add(digest)
            config = json.dumps(_config(chain, own, platform)).encode()
            name = hashlib.sha256(config).hexdigest()
            _write_file(out, f"{name}.json", config)
            manifest.append({"Config": f"{name}.json", "Layers": [_member(digest) for digest in chain]})
            ids.append(f"sha256:{name}")
        _write_file(out, "manifest.json", json.dumps(manifest).encode())
        out.write(tarfile.NUL * tarfile.BLOCKSIZE * 2)
    return ids


def _config(chain: Chain, own: dict[str, str], platform: str) -> dict[str, Any]:
    system, machine, *variant = platform.split("/")
    return {
        "os": system,
        "architecture": machine,
        **({"variant": variant[0]} if variant else {}),
        "config": {"Labels": own},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in chain]},
        "history": [],
    }


def _member(digest: Digest) -> str:
    return f"{digest}/layer.tar"


def _write_layer(out: BinaryIO, store: Store, digest: Digest) -> None:
    """The layer's tar as a member; its size is known only afterwards."""
    start = out.tell()
    out.seek(start + tarfile.BLOCKSIZE)
    store.write_layer_tar(digest, out)
    size = out.tell() - start - tarfile.BLOCKSIZE
    out.write(_padding(size))
    end = out.tell()
    out.seek(start)
    out.write(_header(_member(digest), size))
    out.seek(end)


def _write_file(out: BinaryIO, name: str, content: bytes) -> None:
    out.write(_header(name, len(content)) + content + _padding(len(content)))


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


def _padding(size: int) -> bytes:
    return tarfile.NUL * (-size % tarfile.BLOCKSIZE)
