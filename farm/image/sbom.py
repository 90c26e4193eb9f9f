# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials of an image: CycloneDX 1.5, JSON. Source: its ``bom-1.5.schema.json``.

It names every package, source and seed below the image with its sha256. It has no time, so the same image has the
same document.
"""

from __future__ import annotations

import json
from typing import Any

from farm.engine.look import Looker
from farm.image.model import Board
from farm.plan.job import Fetch, Pack, Seed
from farm.plan.node import Node, Plan, Result
from farm.spec.model import Package, Tree
from farm.store.store import Store


def sbom(board: Board, node: str, plan: Plan, tree: Tree, store: Store, sha256: str) -> bytes:
    """The document for the image of ``board`` with this digest, which ``node`` has made."""
    needed = _below(plan, node)
    results = _results(Plan(needed, ()), store)
    packages = {str(package.id): package for package in tree.packages.values()}
    parts = [part for name, one in needed.items() if (part := _part(one, results.get(name), packages))]
    component = {
        "type": "operating-system",
        "bom-ref": f"image/{board.name}",
        "name": board.name,
        "description": board.description,
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        "properties": [{"name": "farm:platform", "value": board.platform}],
    }
    parts.sort(key=lambda part: str(part["bom-ref"]))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"tools": {"components": [{"type": "application", "name": "farm"}]}, "component": component},
        "components": parts,
        "dependencies": [{"ref": component["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def _below(plan: Plan, node: str) -> dict[str, Node]:
    """The node and all that it needs, needs first."""
    wanted: set[str] = set()
    pending = [node]
    while pending:
        name = pending.pop()
        if name not in wanted:
            wanted.add(name)
            pending += plan.nodes[name].needs
    return {name: plan.nodes[name] for name in plan.nodes if name in wanted}


def _results(plan: Plan, store: Store) -> dict[str, Result]:
    """What the store has of a plan's nodes."""
    looker = Looker(plan, store)
    for name, node in plan.nodes.items():
        if all(need in looker.results for need in node.needs):
            for answer in looker.look([name]):
                if answer.result:
                    looker.results[name] = answer.result
    return looker.results


def _part(node: Node, result: Result | None, packages: dict[str, Package]) -> dict[str, Any] | None:
    match node.action:
        case Fetch(sha256=digest, urls=urls):
            name = node.id.split(":")[1]
            links = [{"type": "distribution", "url": url} for url in urls if not url.startswith("apt:")]
            return _component("file", f"source:{name}:{digest}", name, digest) | (
                {"externalReferences": links} if links else {}
            )
        case Seed() if result and result.layer:
            made = _component("operating-system", f"{node.id}:{result.layer}", node.id, result.layer)
            return made | {"scope": "excluded"}
        case Pack() if node.package in packages and result and result.package:
            package = packages[node.package]
            made = _component("library", f"{node.id}:{result.package}", package.id.name, result.package)
            made |= {"group": package.id.category, "version": package.id.version}
            return made | ({"licenses": [{"license": {"name": package.license}}]} if package.license else {})
    return None


def _component(kind: str, ref: str, name: str, digest: str) -> dict[str, Any]:
    return {"type": kind, "bom-ref": ref, "name": name, "hashes": [{"alg": "SHA-256", "content": digest}]}
