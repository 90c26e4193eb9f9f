# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds: the base layers that come from outside the farm."""

from __future__ import annotations

import dataclasses
import io
import tarfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from farm.plan.job import Fetch, Seed
from farm.plan.node import Result, key_document, key_of
from farm.spec.problem import error

if TYPE_CHECKING:
    from farm.store.layers import LayerInfo
    from farm.store.store import Store

HOST = "host"
"""The suite that stands for the host's own release."""


def identify(seed: Seed) -> Seed:
    """``seed`` with all that is meant by a name made definite: nothing of it depends on this host any more.

    FarmError ``seed-no-suite``, ``seed-no-sha256``, ``seed-archive-missing``, ``no-docker-image``.
    """
    match seed.kind:
        case "debootstrap":
            packages = tuple(sorted(set(seed.packages)))
            return dataclasses.replace(seed, suite=_suite(seed.suite), packages=packages)
        case "archive":
            return seed if seed.sha256 else dataclasses.replace(seed, sha256=_sha256(seed.url))
        case "docker":
            from farm.runner.docker.engine import image_id

            return dataclasses.replace(seed, image=image_id(seed.image))
        case "scratch":
            return seed


def make_seed(seed: Seed, store: Store, log: Path, cancel: threading.Event) -> Result:
    """Makes the layer of ``seed``, which `identify` gave. Only one of several farms on a store makes it.

    FarmError ``seed-…``, those of `fetch` and of the store, ``cancelled``.
    """
    key = key_of(key_document(seed))
    with store.lock(f"seed-{key}"):
        return store.lookup(key) or _make(seed, store, log, cancel)


def _make(seed: Seed, store: Store, log: Path, cancel: threading.Event) -> Result:
    match seed.kind:
        case "debootstrap":
            from farm.runner.seed_debootstrap import debootstrap

            return _result(debootstrap(seed, store, log, cancel))
        case "archive":
            return _result(_archive(seed, store, log, cancel))
        case "docker":
            return _docker(seed, store)
        case "scratch":
            empty = io.BytesIO()
            tarfile.open(fileobj=empty, mode="w").close()
            empty.seek(0)
            return _result(store.import_layer(empty))


def _archive(seed: Seed, store: Store, log: Path, cancel: threading.Event) -> LayerInfo:
    from farm.store.fetch import fetch

    url = seed.url if "://" in seed.url or seed.url.startswith("apt:") else Path(seed.url).absolute().as_uri()
    blob = fetch(Fetch(seed.sha256, (url,)), store, log, cancel)
    return store.import_layer(store.blob_path(blob))


def _docker(seed: Seed, store: Store) -> Result:
    from farm.runner.docker.engine import export_image

    with store.scratch("seed") as folder:
        with open(folder / "root.tar", "wb") as out:
            image = export_image(seed.image, out)
        return _result(store.import_layer(folder / "root.tar"), image.env)


def _result(layer: LayerInfo, env: tuple[tuple[str, str], ...] = ()) -> Result:
    return Result(layer=layer.digest, env=env, size=layer.size, deleted=layer.deleted)


def _suite(suite: str) -> str:
    from farm.store.apt import host_distribution

    found = host_distribution().codename if suite in ("", HOST) else suite
    if not found:
        hint = "name one in farm.yaml, for example `suite: bookworm`, or use a root tarball as the seed"
        raise error("seed-no-suite", "this host is of no release that a seed could be made of", hint=hint)
    return found


def _sha256(url: str) -> str:
    from farm.store.blobs import digest_of

    parts = urlsplit(url)
    if parts.scheme not in ("", "file"):
        raise error("seed-no-sha256", f"the seed {url} has no sha256", hint="add `sha256:` to it in farm.yaml")
    path = Path(unquote(parts.path))
    try:
        return digest_of(path)
    except OSError as fault:
        raise error("seed-archive-missing", f"cannot read the seed {path}: {fault.strerror}") from fault
