# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials of an image: every package, source and seed below it, with its sha256."""

from __future__ import annotations

from collections.abc import Iterator

from farm.engine.origin import Known
from farm.engine.sbom import Part, Product, product_sbom
from farm.image.model import Board
from farm.plan.job import Pack
from farm.spec.model import Tree


def sbom(board: Board, node: str, known: Known, tree: Tree, sha256: str) -> bytes:
    """The document for the image of ``board`` with this digest, which ``node`` has made."""
    product = Product(f"image/{board.name}", board.name, sha256, board.description, board.platform)
    return product_sbom(product, _packages(node, known, tree), known.all_materials(node))


def _packages(node: str, known: Known, tree: Tree) -> Iterator[Part]:
    licenses = {str(package.id): package.license for package in tree.packages.values()}
    for one in known.below(node):
        digest = known.results[one.id].package
        if isinstance(one.action, Pack) and one.package and digest:
            yield Part(one.id.removesuffix(":package"), one.package, digest, licenses.get(one.package, ""))
