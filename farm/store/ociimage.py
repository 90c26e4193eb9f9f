# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents of an OCI image of one layer. Source: OCI image specification 1.1 (config, manifest, image index)."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

REF_NAME = "org.opencontainers.image.ref.name"
"""The annotation that holds an image's tag in a layout."""

LAYOUT = {"imageLayoutVersion": "1.0.0"}
"""The document ``oci-layout``."""

_TYPE = "application/vnd.oci.image."
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def image_documents(
    layer: str, size: int, content: str, platform: str, env: Sequence[str] = (), created: int | None = None
) -> dict[str, Any]:
    """``blobs``: the texts of configuration and manifest by their digest; ``manifest``: its descriptor.

    ``layer`` is the sha256 of the layer's gzip file, ``size`` its bytes, ``content`` the sha256 of the tar in it.
    ``created`` in seconds since 1970; None: it is left out.
    """
    config, config_text = _blob(_config(content, platform, env, created))
    descriptor = {"mediaType": f"{_TYPE}layer.v1.tar+gzip", "digest": f"sha256:{layer}", "size": size}
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_TYPE}manifest.v1+json",
        "config": {"mediaType": f"{_TYPE}config.v1+json", **config},
        "layers": [descriptor],
    }
    described, manifest_text = _blob(manifest)
    texts = {config["digest"][7:]: config_text, described["digest"][7:]: manifest_text}
    return {"blobs": texts, "manifest": {"mediaType": f"{_TYPE}manifest.v1+json", **described}}


def image_index(manifests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The document ``index.json`` of a layout."""
    return {"schemaVersion": 2, "mediaType": f"{_TYPE}index.v1+json", "manifests": list(manifests)}


def _config(content: str, platform: str, env: Sequence[str], created: int | None) -> dict[str, Any]:
    system, architecture, *variant = platform.split("/")
    config: dict[str, Any] = {"architecture": architecture, "os": system}
    if variant:
        config["variant"] = variant[0]
    if created is not None:
        config["created"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created))
    paths = [] if any(one.startswith("PATH=") for one in env) else [_PATH]
    config["config"] = {"Env": [*paths, *env], "Cmd": ["/bin/sh"]}
    config["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{content}"]}
    return config


def _blob(document: dict[str, Any]) -> tuple[dict[str, Any], str]:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return {"digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", "size": len(text.encode())}, text
