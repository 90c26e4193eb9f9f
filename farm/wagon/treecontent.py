# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the tarballs of a wagon: the tree of definitions and metadata, the compiler tree, the old index."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from farm.spec.problem import error
from farm.wagon.contents import PACKAGE_KEYS, definition_of
from farm.wagon.edition import Offer
from farm.wagon.plainyaml import dump, quoted
from farm.wagon.treefile import TarFile

_INTERNAL = frozenset(("id", "state", "path", "treedir", "repository", "buildtimestamp"))


def write_tree(tar: TarFile, offers: Sequence[Offer]) -> None:
    """``<category>/<name>/<version>/{definition.yaml,finalize.yaml,metadata.json}`` and ``provides.yaml``."""
    for offer in offers:
        folder = f"{offer.id.category}/{offer.id.name}/{offer.id.version}"
        tar.add(f"{folder}/definition.yaml", dump(_definition(offer)).encode())
        if offer.stone.package.finalizer is not None:
            tar.add(f"{folder}/finalize.yaml", _finalizer(offer))
        tar.add(f"{folder}/metadata.json", offer.metadata.to_json())
    tar.add("provides.yaml", dump({"provides": _provides(offers)}).encode())


def write_compilertree(tar: TarFile, roots: Sequence[str]) -> None:
    """Each tree under the name of its folder, and nothing that lies beside it."""
    names: set[str] = set()
    for root in roots:
        name, number = Path(root).name or "tree", 2
        while name in names:
            name, number = f"{Path(root).name}-{number}", number + 1
        names.add(name)
        tar.add_tree(Path(root), name)


def write_index(tar: TarFile, offers: Sequence[Offer]) -> None:
    """``repository.meta.yaml`` of the old layout: JSON, which is YAML. Old clients need ``compilespec.package``."""
    items = []
    for offer in offers:
        metadata = offer.metadata
        if not metadata.compilespec:
            metadata = dataclasses.replace(metadata, compilespec={"package": metadata.runtime})
        items.append(f"- {quoted(metadata.document())}\n")
    tar.add("repository.meta.yaml", f"index:\n{''.join(items)}".encode())


def _definition(offer: Offer) -> dict[str, Any]:
    """All keys that were written, as finalizers may be templates of any; the known ones as clients want them."""
    package = offer.stone.package
    free = {
        key: value
        for key, value in package.definition.items()
        if key not in PACKAGE_KEYS and key not in _INTERNAL and value is not None
    }
    return definition_of(package, version=offer.id.version) | free


def _finalizer(offer: Offer) -> bytes:
    """The template itself: clients render it."""
    path = Path(offer.stone.package.folder) / "finalize.yaml"
    try:
        return path.read_bytes()
    except OSError as problem:
        raise error("unreadable-file", f"{path} cannot be read: {problem.strerror}") from problem


def _provides(offers: Sequence[Offer]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for offer in offers:
        for item in offer.stone.package.provides:
            found.setdefault(item.atom, []).append(definition_of(offer.stone.package, version=offer.id.version))
    return dict(sorted(found.items()))
