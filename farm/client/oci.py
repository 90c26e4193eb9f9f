# SPDX-License-Identifier: GPL-3.0-or-later
"""Wagons that are kept as OCI images: one image for each file, with the file in it, tagged with the file's name.

An image is in a registry (``host:port/name``, ``http://host:port/name``, ``docker://host/name``) or in an OCI layout
on disk (``oci:/folder``). Sources: OCI distribution specification 1.1 (pull), OCI image layout specification
1.1; the tags are those of luet (``pkg/v2/repository/client/docker.go``): in them ``+`` is written ``-``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from farm.spec.problem import error
from farm.store.archive import decompressed, opened
from farm.store.entry import FILE
from farm.store.tarreader import TarReader

if TYPE_CHECKING:
    import requests

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MAX_MANIFEST = 4 << 20
MAX_LAYER = 64 << 30

_CHUNK = 1 << 18
_TIMEOUT = (15.0, 60.0)
_REFERENCE = re.compile(r"(?:docker://)?(?P<host>[\w.-]+(?::\d+)?|\[[0-9a-f:]+\](?::\d+)?)/(?P<name>[\w./-]+)", re.A)
_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")
_FIELD = re.compile(r'(\w+)="([^"]*)"')
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Images(Protocol):
    """Where images are: a registry or a layout."""

    def manifest(self, reference: str) -> dict[str, Any]:
        """The manifest, or index, of a tag or a digest."""

    def blob(self, digest: str, part: Path) -> None:
        """Makes ``part`` the blob of that digest, verified."""


def bring_from_image(
    url: str, name: str, part: Path, auth: Mapping[str, str] | None = None, *, insecure: bool = False
) -> None:
    """Makes ``part`` the file ``name`` out of the image with that tag. FarmError ``download-failed``, ``bad-image``."""
    images = open_images(url, auth or {}, insecure)
    manifest = _of_platform(images, images.manifest(name.replace("+", "-")))
    blob = part.with_name(f"{part.name}.layer")
    try:
        for layer in reversed(manifest.get("layers") or []):
            images.blob(_digest(layer), blob)
            if _extract(blob, name, part):
                return
    finally:
        blob.unlink(missing_ok=True)
    raise error("bad-image", f"the image {url}:{name} has no file {name}")


def open_images(url: str, auth: Mapping[str, str], insecure: bool) -> Images:
    """The place that a URL names. FarmError ``bad-image-url``."""
    if url.startswith(("oci:", "/", "file://")):
        return _Layout(Path(url.removeprefix("oci:").removeprefix("file://")))
    scheme, _, rest = url.rpartition("://")
    match = _REFERENCE.fullmatch(rest)
    if match is None or scheme not in ("", "docker", "http", "https"):
        hint = "write host:port/name, http://host:port/name, or oci:/folder"
        raise error("bad-image-url", f"{url!r} names no images", hint=hint)
    plain = scheme == "http" or (scheme != "https" and _LOOPBACK.fullmatch(match["host"]) is not None)
    return _Registry(f"{'http' if plain else 'https'}://{match['host']}/v2/{match['name']}", auth, insecure)


class _Layout:
    """An OCI layout: ``index.json`` names manifests by the annotation ``org.opencontainers.image.ref.name``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def manifest(self, reference: str) -> dict[str, Any]:
        if _DIGEST.fullmatch(reference):
            return _document(self._read(reference))
        try:
            index = _document((self._folder / "index.json").read_bytes())
        except OSError as fault:
            raise error("download-failed", f"no OCI layout in {self._folder}: {fault.strerror}") from fault
        for one in index.get("manifests") or []:
            named = (one.get("annotations") or {}).get("org.opencontainers.image.ref.name", "")
            if named == reference or named.endswith(f":{reference}"):
                return _document(self._read(_digest(one)))
        raise error("download-failed", f"the layout {self._folder} has no image {reference}")

    def blob(self, digest: str, part: Path) -> None:
        with open(self._path(digest), "rb") as source:
            _write(iter(lambda: source.read(_CHUNK), b""), digest, part)

    def _read(self, digest: str) -> bytes:
        content = self._path(digest).read_bytes()
        _verify(hashlib.sha256(content).hexdigest(), digest)
        return content

    def _path(self, digest: str) -> Path:
        path = self._folder / "blobs" / "sha256" / digest.removeprefix("sha256:")
        if not path.is_file():
            raise error("download-failed", f"the layout {self._folder} has no blob {digest}")
        return path


class _Registry:
    """A registry by the OCI distribution protocol, with Bearer tokens where it asks for them."""

    def __init__(self, base: str, auth: Mapping[str, str], insecure: bool) -> None:
        self._base = base
        self._auth = auth
        self._insecure = insecure
        self._token = ""

    def manifest(self, reference: str) -> dict[str, Any]:
        with self._get(f"/manifests/{reference}", {"Accept": ", ".join(MANIFESTS)}) as response:
            content = response.raw.read(MAX_MANIFEST, decode_content=True)
        if _DIGEST.fullmatch(reference):
            _verify(hashlib.sha256(content).hexdigest(), reference)
        return _document(content)

    def blob(self, digest: str, part: Path) -> None:
        with self._get(f"/blobs/{digest}", {}) as response:
            _write(response.iter_content(_CHUNK), digest, part)

    def _get(self, path: str, headers: Mapping[str, str]) -> requests.Response:
        import requests

        for _ in range(2):
            sent = {**headers, **self._authorization()}
            try:
                response = requests.get(
                    self._base + path, headers=sent, stream=True, timeout=_TIMEOUT, verify=not self._insecure
                )
            except requests.RequestException as fault:
                raise error("download-failed", str(fault), transient=True) from fault
            challenge = response.headers.get("WWW-Authenticate", "")
            if response.status_code != 401 or self._token or not challenge.lower().startswith("bearer "):
                break
            response.close()
            self._token = self._new_token(dict(_FIELD.findall(challenge)))
        if response.status_code != 200:
            response.close()
            passing = response.status_code == 429 or response.status_code >= 500
            message = f"HTTP {response.status_code} {response.reason} for {path}"
            raise error("download-failed", message, transient=passing)
        return response

    def _authorization(self) -> dict[str, str]:
        token = self._token or self._auth.get("token") or self._auth.get("registrytoken")
        if token:
            return {"Authorization": f"Bearer {token}"}
        return self._basic()

    def _basic(self) -> dict[str, str]:
        basic = self._auth.get("basic") or self._auth.get("auth")
        if not basic and self._auth.get("username"):
            basic = base64.b64encode(f"{self._auth['username']}:{self._auth.get('password', '')}".encode()).decode()
        return {"Authorization": f"Basic {basic}"} if basic else {}

    def _new_token(self, challenge: Mapping[str, str]) -> str:
        import requests

        asked = {key: challenge[key] for key in ("service", "scope") if key in challenge}
        try:
            with requests.get(
                challenge.get("realm", ""),
                params=asked,
                headers=self._basic(),
                timeout=_TIMEOUT,
                verify=not self._insecure,
            ) as response:
                data = response.json() if response.status_code == 200 else {}
        except (requests.RequestException, ValueError) as fault:
            raise error("download-failed", f"no token from the registry: {fault}", transient=True) from fault
        return str(data.get("token") or data.get("access_token") or "-")


def _of_platform(images: Images, document: dict[str, Any]) -> dict[str, Any]:
    """The manifest itself; of an index, that of the first image (a wagon's file is the same for all platforms)."""
    if "layers" not in document and document.get("manifests"):
        return images.manifest(_digest(document["manifests"][0]))
    return document


def _document(content: bytes) -> dict[str, Any]:
    try:
        data = json.loads(content)
    except ValueError as fault:
        raise error("bad-image", f"a manifest is no JSON: {fault}") from fault
    if not isinstance(data, dict):
        raise error("bad-image", "a manifest is no mapping")
    return data


def _digest(descriptor: Any) -> str:
    digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise error("bad-image", f"{digest!r} is no sha256 digest")
    return digest


def _write(pieces: Iterator[bytes], digest: str, part: Path) -> None:
    total, hasher = 0, hashlib.sha256()
    with open(part, "wb") as out:
        for piece in pieces:
            total += len(piece)
            if total > MAX_LAYER:
                raise error("bad-image", "a layer is larger than any that is needed")
            hasher.update(piece)
            out.write(piece)
    _verify(hasher.hexdigest(), digest)


def _verify(found: str, digest: str) -> None:
    if f"sha256:{found}" != digest:
        raise error("bad-image", f"what should have the digest {digest} has sha256:{found}", transient=True)


def _extract(layer: Path, name: str, part: Path) -> bool:
    """Whether the layer has the file at its top; then ``part`` is it."""
    with opened(layer) as (head, stream):
        content = decompressed(head, stream)
        reader = TarReader(iter(lambda: content.read(_CHUNK), b""))
        for entry in reader:
            if entry.kind == FILE and entry.path.removeprefix(b"./") == name.encode():
                with open(part, "wb") as out:
                    out.writelines(reader.content())
                return True
    return False
