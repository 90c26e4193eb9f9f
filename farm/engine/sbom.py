# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials of a package: CycloneDX 1.5, JSON. Source: its ``bom-1.5.schema.json``.

Unlike SPDX, it needs no time of creation, so the same package has the same document.
"""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

from farm.engine.origin import Material, Origin
from farm.spec.model import Package

_TYPES = {"source": "file", "seed": "operating-system", "package": "library"}


def sbom(package: Package, origin: Origin, sha256: str) -> bytes:
    """The document for a package's tarball."""
    component = _component(package, sha256)
    parts = [part(material) for material in origin.materials]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"tools": {"components": [{"type": "application", "name": "farm"}]}, "component": component},
        "components": parts,
        "dependencies": [
            {"ref": component["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]},
            *({"ref": part["bom-ref"]} for part in parts),
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _component(package: Package, sha256: str) -> dict[str, Any]:
    id = package.id
    data: dict[str, Any] = {"type": "library", "bom-ref": str(id), "group": id.category, "name": id.name}
    data["version"] = id.version
    if package.description:
        data["description"] = package.description
    data["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    if package.license:
        data["licenses"] = [{"license": {"name": package.license}}]
    data["purl"] = f"pkg:generic/{_quoted(id.category)}/{_quoted(id.name)}@{_quoted(id.version)}"
    if package.uri:
        data["externalReferences"] = [{"type": "website", "url": uri} for uri in package.uri]
    if package.requires:
        data["properties"] = [{"name": "farm:requires", "value": str(item)} for item in package.requires]
    return data


def part(material: Material) -> dict[str, Any]:
    """A component that is one of the materials."""
    ref = f"{material.kind}:{material.name}:{material.sha256}"
    data: dict[str, Any] = {"type": _TYPES[material.kind], "bom-ref": ref, "name": material.name}
    if material.kind != "source":
        data["scope"] = "excluded"
    data["hashes"] = [{"alg": "SHA-256", "content": material.sha256}]
    if material.uris:
        data["externalReferences"] = [{"type": "distribution", "url": uri} for uri in material.uris]
    return data


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
