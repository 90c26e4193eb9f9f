# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a root as a tarball or as an image. Formats: docs/store.md (canonical tar), OCI image specification 1.1."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from farm.plan.job import EPOCH
from farm.spec.problem import error
from farm.store.compress import Compression, compressor
from farm.store.entry import Entry, link_up
from farm.store.funnel import Funnel
from farm.store.ociimage import LAYOUT, REF_NAME, image_documents, image_index
from farm.store.tarwriter import write_tar
from farm.store.union import Union


@dataclasses.dataclass(frozen=True, slots=True)
class Written:
    """sha256 of the file and of the tar in it, and the file's size in bytes."""

    digest: str
    content: str
    size: int


def write_archive(root: Path, path: Path, compression: Compression, since: float) -> Written:
    """Writes the tarball of ``root`` to ``path``, in one step. What is later than ``since`` gets the fixed time."""
    new = path.with_name(f".{path.name}.new")
    try:
        written = _write(root, new, compression, since)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return written


def write_layout(root: Path, name: str, since: float, platform: str) -> None:
    """Adds the image ``FOLDER[:TAG]``, for a platform, to an OCI layout, which is made when it is not there."""
    folder, tag = _reference(name)
    place = Path(folder).absolute()
    blobs = place / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    layer = write_archive(root, blobs / "layer", "gzip", since)
    (blobs / "layer").replace(blobs / layer.digest)
    documents = image_documents(layer.digest, layer.size, layer.content, platform)
    for digest, text in documents["blobs"].items():
        (blobs / digest).write_text(text)
    _replace(place / "oci-layout", LAYOUT)
    _replace(place / "index.json", _index(place, documents["manifest"], tag))


def write_docker(root: Path, name: str, since: float) -> None:
    """Gives the image ``NAME[:TAG]`` to the Docker engine. FarmError ``docker-unreachable``, ``docker-engine``."""
    from farm.runner.docker.engine import connection

    repository, tag = _reference(name)
    with connection() as client, tempfile.TemporaryDirectory(prefix="farm-image-") as folder:
        archive = Path(folder) / "root.tar"
        write_archive(root, archive, "none", since)
        answer = client.api.import_image_from_file(str(archive), repository=repository, tag=tag)
    if '"errorDetail"' in answer:
        raise error("docker-engine", f"the Docker engine did not take the image: {answer.strip()}")


def _write(root: Path, path: Path, compression: Compression, since: float) -> Written:
    packer = compressor(compression)
    inner, outer = hashlib.sha256(), hashlib.sha256()
    with open(path, "wb") as out, Union([root]) as union:

        def put(piece: bytes) -> None:
            outer.update(piece)
            out.write(piece)

        def take(piece: bytes) -> None:
            inner.update(piece)
            put(packer.compress(piece))

        with Funnel(take) as funnel:
            write_tar(link_up(_clamped(union.walk(), since)), funnel.write)
            funnel.finish()
        put(packer.flush())
        out.flush()
        os.fsync(out.fileno())
        return Written(outer.hexdigest(), inner.hexdigest(), out.tell())


def _clamped(entries: Iterable[Entry], since: float) -> Iterator[Entry]:
    for entry in entries:
        if entry.mtime >= int(since):
            entry.mtime = EPOCH
        yield entry


def _index(place: Path, entry: dict[str, Any], tag: str) -> dict[str, Any]:
    """The layout's index with the image in the place of the one with the same tag."""
    try:
        known = json.loads((place / "index.json").read_bytes())["manifests"]
    except FileNotFoundError:
        known = []
    except (ValueError, KeyError, TypeError) as fault:
        raise error("bad-target", f"{place} has an index.json that is none: {fault}") from fault
    others = [one for one in known if (one.get("annotations") or {}).get(REF_NAME) != tag]
    return image_index([*others, {**entry, "annotations": {REF_NAME: tag}}])


def _replace(path: Path, document: dict[str, Any]) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_text(json.dumps(document, sort_keys=True, indent=1) + "\n")
    new.replace(path)


def _reference(name: str) -> tuple[str, str]:
    """Name and tag; a colon before a slash is a port."""
    folder, colon, tag = name.rpartition(":")
    return (folder, tag) if colon and "/" not in tag else (name, "latest")
