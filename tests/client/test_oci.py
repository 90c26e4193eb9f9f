# SPDX-License-Identifier: GPL-3.0-or-later
"""Wagons in OCI images: in a layout on disk, and in a real registry."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from client_wagons import entry, publish
from served import kept_port

from farm.client.config import ClientConfig, RepositoryConfig
from farm.client.oci import MANIFESTS, bring_from_image
from farm.client.repositories import open_repository, sync
from farm.spec.problem import FarmError


def image_of(name: str, content: bytes) -> tuple[bytes, bytes, bytes]:
    """Manifest, config and layer of an image that has one file."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    layer, config = gzip.compress(raw.getvalue(), mtime=0), b"{}"
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFESTS[0],
        "config": _descriptor(config, "application/vnd.oci.image.config.v1+json"),
        "layers": [_descriptor(layer, "application/vnd.oci.image.layer.v1.tar+gzip")],
    }
    return json.dumps(manifest).encode(), config, layer


def _descriptor(content: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


def layout(folder: Path, files: dict[str, bytes]) -> None:
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    manifests = []
    for name, content in files.items():
        parts = image_of(name, content)
        for part in parts:
            (blobs / hashlib.sha256(part).hexdigest()).write_bytes(part)
        named = {"org.opencontainers.image.ref.name": name.replace("+", "-")}
        manifests.append({**_descriptor(parts[0], MANIFESTS[0]), "annotations": named})
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))


def files_of(folder: Path) -> dict[str, bytes]:
    publish(folder, 1, [entry("a/x-1")])
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def synced(tmp_path: Path, url: str) -> list[str]:
    repository = RepositoryConfig("main", type="docker", enable=True, urls=(url,))
    state = tmp_path / "state"
    config = ClientConfig(tmp_path / "root", state, state / "packages", tmp_path / "tmp", repositories=(repository,))
    sync(config, repository)
    return [str(package) for package in open_repository(config, repository).packages]


def test_a_layout(tmp_path: Path) -> None:
    layout(tmp_path / "layout", files_of(tmp_path / "wagon"))
    assert synced(tmp_path, f"oci:{tmp_path / 'layout'}") == ["a/x-1"]


@pytest.mark.parametrize("damage", ["layer", "index", "none"])
def test_a_damaged_layout(tmp_path: Path, damage: str) -> None:
    layout(tmp_path / "layout", {"x+1": b"content"})
    if damage == "layer":
        for blob in (tmp_path / "layout/blobs/sha256").iterdir():
            blob.write_bytes(blob.read_bytes() + b" ")
    elif damage == "index":
        (tmp_path / "layout/index.json").write_text("[")
    url, name = f"oci:{tmp_path / 'layout'}", "x+2" if damage == "none" else "x+1"
    with pytest.raises(FarmError) as caught:
        bring_from_image(url, name, tmp_path / "part")
    assert caught.value.code in ("bad-image", "download-failed")
    assert not (tmp_path / "part.layer").exists()


@pytest.mark.parametrize("url", ["", "http://", "host", "ftp://host/name", "host/name:tag"])
def test_urls_that_name_no_images(tmp_path: Path, url: str) -> None:
    with pytest.raises(FarmError) as caught:
        bring_from_image(url, "x", tmp_path / "part")
    assert caught.value.code == "bad-image-url"


@contextlib.contextmanager
def registry(tmp_path: Path) -> Iterator[str]:
    """Debian's docker-registry on a free port of this host."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("no docker-registry on this host (package docker-registry)")
    with kept_port() as port:
        address = f"127.0.0.1:{port}"
        (tmp_path / "config.yml").write_text(
            f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
            f"http: {{addr: {address}}}\n"
        )
        command = [program, "serve", tmp_path / "config.yml"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                _wait(f"http://{address}/v2/")
                yield address
            finally:
                process.terminate()


def _wait(url: str) -> None:
    for _ in range(100):
        with contextlib.suppress(requests.ConnectionError):
            requests.get(url, timeout=5).close()
            return
        time.sleep(0.1)
    raise AssertionError("the registry does not answer")


def push(address: str, name: str, files: dict[str, bytes]) -> None:
    base = f"http://{address}/v2/{name}"
    for file, content in files.items():
        manifest, *blobs = image_of(file, content)
        for blob in blobs:
            with requests.post(f"{base}/blobs/uploads/", timeout=10) as begun:
                where = begun.headers["Location"]
            digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
            requests.put(f"{where}&digest={digest}", data=blob, timeout=10).close()
        headers = {"Content-Type": MANIFESTS[0]}
        with requests.put(
            f"{base}/manifests/{file.replace('+', '-')}", data=manifest, headers=headers, timeout=10
        ) as done:
            assert done.status_code == 201, done.text


def test_a_registry(tmp_path: Path) -> None:
    with registry(tmp_path) as address:
        push(address, "my/wagon", files_of(tmp_path / "wagon"))
        assert synced(tmp_path, f"{address}/my/wagon") == ["a/x-1"]
        with pytest.raises(FarmError) as caught:
            bring_from_image(f"http://{address}/my/wagon", "none", tmp_path / "part")
        assert caught.value.code == "download-failed" and not caught.value.transient
