# SPDX-License-Identifier: GPL-3.0-or-later
"""Bills of materials of packages, stages and images: CycloneDX 1.5, JSON. Source: its ``bom-1.5.schema.json``.

Unlike SPDX, it needs no time of creation, so the same package has the same document.
"""

from __future__ import annotations

import dataclasses
import json
import urllib.parse
from collections.abc import Iterable, Sequence
from typing import Any

from farm.engine.origin import Material, Origin
from farm.spec.model import Package

_TYPES = {"source": "file", "seed": "operating-system", "package": "library"}


def sbom(package: Package, origin: Origin, sha256: str) -> bytes:
    """The document for a package's tarball."""
    parts = [_part(material) for material in origin.materials]
    return _document(_of_package(package, sha256), parts, ())


@dataclasses.dataclass(frozen=True, slots=True)
class Product:
    """What a bill of a root or an image is about. ``ref`` is its name inside the document."""

    ref: str
    name: str
    sha256: str
    description: str = ""
    platform: str = ""


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Part:
    """A package in a product. ``ref``: ``category/name-version``, or longer where one name is there twice."""

    ref: str
    package: str
    sha256: str
    license: str = ""


def product_sbom(product: Product, packages: Iterable[Part], materials: Iterable[Material]) -> bytes:
    """The document for a product: the packages in it, and what these were made of."""
    component: dict[str, Any] = {"type": "operating-system", "bom-ref": product.ref, "name": product.name}
    component["hashes"] = _sha256(product.sha256)
    if product.description:
        component["description"] = product.description
    if product.platform:
        component["properties"] = [{"name": "farm:platform", "value": product.platform}]
    each = {(one.kind, one.name, one.sha256): one for one in sorted(set(materials))}
    parts = [_part(material) for material in each.values()]
    return _document(component, [_of_part(one) for one in sorted(set(packages))], parts)


def _document(component: dict[str, Any], inside: Sequence[dict[str, Any]], below: Sequence[dict[str, Any]]) -> bytes:
    """``inside`` is what the component depends on; ``below`` is listed without saying what it is for."""
    parts = [*inside, *below]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"tools": {"components": [{"type": "application", "name": "farm"}]}, "component": component},
        "components": parts,
        "dependencies": [
            {"ref": component["bom-ref"], "dependsOn": [one["bom-ref"] for one in inside]},
            *({"ref": one["bom-ref"]} for one in parts),
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _of_part(one: Part) -> dict[str, Any]:
    category, _, rest = one.package.partition("/")
    name, _, version = rest.rpartition("-")
    data: dict[str, Any] = {"type": "library", "bom-ref": one.ref, "group": category, "name": name}
    data |= {"version": version, "hashes": _sha256(one.sha256)}
    return data | ({"licenses": [{"license": {"name": one.license}}]} if one.license else {})


def _sha256(digest: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": digest}]


def _of_package(package: Package, sha256: str) -> dict[str, Any]:
    id = package.id
    data: dict[str, Any] = {"type": "library", "bom-ref": str(id), "group": id.category, "name": id.name}
    data["version"] = id.version
    if package.description:
        data["description"] = package.description
    data["hashes"] = _sha256(sha256)
    if package.license:
        data["licenses"] = [{"license": {"name": package.license}}]
    data["purl"] = f"pkg:generic/{_quoted(id.category)}/{_quoted(id.name)}@{_quoted(id.version)}"
    if package.uri:
        data["externalReferences"] = [{"type": "website", "url": uri} for uri in package.uri]
    if package.requires:
        data["properties"] = [{"name": "farm:requires", "value": str(item)} for item in package.requires]
    return data


def _part(material: Material) -> dict[str, Any]:
    """A component that is one of the materials."""
    ref = f"{material.kind}:{material.name}:{material.sha256}"
    data: dict[str, Any] = {"type": _TYPES[material.kind], "bom-ref": ref, "name": material.name}
    if material.kind != "source":
        data["scope"] = "excluded"
    data["hashes"] = _sha256(material.sha256)
    if material.uris:
        data["externalReferences"] = [{"type": "distribution", "url": uri} for uri in material.uris]
    return data


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
