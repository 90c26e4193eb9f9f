# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes of seeds, and the makers of those seeds that are not the runner's: signed tarballs and OCI layouts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from farm.plan.images import packages_for, seed_node_id
from farm.plan.job import Seed as SeedAction
from farm.plan.job import Work
from farm.plan.node import Node, Result
from farm.spec.problem import error
from farm.stage.model import ArchiveSeed, DebootstrapSeed, DockerSeed, EmptySeed, OciSeed, Stage, StageSeed, WagonSeed

if TYPE_CHECKING:
    from farm.store.store import Store

SIGNED, OCI, WAGONS = "signed-archive", "oci-layout", "wagon-root"
"""Names of makers. `WAGONS` is the client's, which is on a floor above: the command line gives it."""

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_MOST = 1 << 24
"""Bytes of a document of an image at the most."""


def seed_node(stage: Stage) -> Node | None:
    """The node that makes the stage's seed; None: there is nothing, or another stage makes it."""
    seed = stage.seed
    name = f"{stage.name}:seed"
    match seed:
        case ArchiveSeed(url, sha256, signature, key):
            if not key:
                action = SeedAction("archive", url=url, sha256=sha256, platform=stage.platform)
                return Node(seed_node_id(action), action)
            settings = (("key", key), ("sha256", sha256))
            where = (("url", url), ("signature", signature or f"{url}.minisig"))
            return Node(name, Work(SIGNED, settings=settings, local=where))
        case DebootstrapSeed(suite, variant, packages, components, date):
            packages = packages_for(stage.platform, packages)
            action = SeedAction("debootstrap", suite, variant, packages, components, date, platform=stage.platform)
            return Node(seed_node_id(action), action)
        case DockerSeed(image):
            action = SeedAction("docker", image=image, platform=stage.platform)
            return Node(seed_node_id(action), action)
        case OciSeed(layout, tag, digest):
            return Node(name, Work(OCI, settings=(("digest", digest),), local=(("layout", str(layout)), ("tag", tag))))
        case WagonSeed(wagons, packages, subsets, key, finalizers):
            listed = {"packages": packages, "subsets": subsets, "key": key, "finalizers": finalizers}
            settings = (("epoch", str(stage.epoch)), ("wanted", json.dumps(listed, sort_keys=True)))
            local = (("wagons", json.dumps(wagons)), ("platform", stage.platform))
            return Node(name, Work(WAGONS, settings=settings, local=local))
        case StageSeed() | EmptySeed():
            return None


class SignedArchive:
    """A root tarball that is verified by a minisign signature."""

    def identify(self, work: Work) -> Work:
        """The signature becomes part of the key: another file under the same URL is another seed."""
        signature = _brought(work.setting("signature"), _MOST)
        return dataclasses.replace(work, settings=(*work.settings, ("signature-text", signature.decode("latin-1"))))

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """Downloads, verifies, unpacks. FarmError ``bad-signature``, ``digest-mismatch``, …"""
        from farm.store.download import download
        from farm.store.keys import read_public
        from farm.store.signature import verify_digest

        with store.scratch("seed") as folder, open(log, "a", encoding="utf-8") as out:
            part = folder / "seed"
            if (local := _local(work.setting("url"))) is None:
                download(work.setting("url"), part, cancel, lambda line: print(line, file=out, flush=True))
            else:
                part = local
            with open(part, "rb") as file:
                blake = hashlib.file_digest(file, lambda: hashlib.blake2b())
            key = read_public(work.setting("key"), "the seed's key")
            verify_digest(blake.digest(), work.setting("signature-text").encode("latin-1"), [key])
            blob = store.put_blob(part, work.setting("sha256") or None)
            layer = store.import_layer(store.blob_path(blob))
        return Result(layer=layer.digest, size=layer.size, deleted=layer.deleted)


class OciLayout:
    """An image of an OCI layout on this host. Source of the format: OCI image specification 1.1."""

    def identify(self, work: Work) -> Work:
        """The manifest's digest becomes part of the key. FarmError ``bad-oci-layout``, ``digest-mismatch``."""
        found = self._manifest(work)
        wanted = work.setting("digest")
        if wanted and wanted != found:
            raise error("digest-mismatch", f"{work.setting('layout')}: the manifest is {found}, expected {wanted}")
        return dataclasses.replace(work, settings=(("digest", found),))

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """Every blob is compared with its digest before it is used."""
        layout = Path(work.setting("layout"))
        manifest = self._document(layout, work.setting("digest"))
        config = self._document(layout, _hex(manifest["config"]["digest"]))
        layers = []
        for one in manifest["layers"]:
            digest = store.put_blob(self._blob(layout, _hex(one["digest"])), _hex(one["digest"]))
            layers.append(store.import_layer(store.blob_path(digest)).digest)
        layer = store.flatten(layers)
        entries = (entry.partition("=") for entry in (config.get("config") or {}).get("Env") or ())
        size = (store.records.object("layer", layer) or (0,))[0]
        return Result(layer=layer, env=tuple((name, value) for name, _, value in entries), size=size)

    def _manifest(self, work: Work) -> str:
        layout = Path(work.setting("layout"))
        try:
            index = json.loads((layout / "index.json").read_bytes())
            known = "org.opencontainers.image.ref.name"
            tag = work.setting("tag")
            manifests = index["manifests"]
            named = [one for one in manifests if (one.get("annotations") or {}).get(known) == tag]
            chosen = named or (manifests if len(manifests) == 1 else [])
            return _hex(chosen[0]["digest"])
        except (OSError, ValueError, KeyError, TypeError, IndexError) as fault:
            raise error("bad-oci-layout", f"{layout} has no image {work.setting('tag')!r}: {fault}") from fault

    def _document(self, layout: Path, digest: str) -> Any:
        content = self._blob(layout, digest).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise error("digest-mismatch", f"{layout}: blob {digest} is damaged")
        try:
            return json.loads(content)
        except ValueError as fault:
            raise error("bad-oci-layout", f"{layout}: blob {digest} is no JSON: {fault}") from fault

    def _blob(self, layout: Path, digest: str) -> Path:
        path = layout / "blobs" / "sha256" / digest
        if not path.is_file() or path.is_symlink():
            raise error("bad-oci-layout", f"{layout} has no blob {digest}")
        return path


def _hex(digest: str) -> str:
    if (match := _DIGEST.fullmatch(digest)) is None:
        raise ValueError(f"not a sha256 digest: {digest!r}")
    return match[1]


def _local(url: str) -> Path | None:
    """The file of a path or a file URL."""
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme in ("", "file") else None


def _brought(url: str, most: int) -> bytes:
    """A small file. FarmError ``no-signature``."""
    try:
        if (local := _local(url)) is not None:
            return local.read_bytes()[:most]
        import requests

        answer = requests.get(url, timeout=30)
        answer.raise_for_status()
        return answer.content[:most]
    except OSError as fault:  # requests' errors are OSErrors
        raise error("no-signature", f"{url}: {fault}", transient=True) from fault
