# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in its files something in a package is written: looked up only when there is something to report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from farm.spec.document import open_source, render_document
from farm.spec.model import Package, Tree
from farm.spec.problem import FarmError, Place
from farm.spec.scan import shared_templates
from farm.spec.values import read_value_files, template_values
from farm.spec.yamltext import Parsed, parse

Steps = tuple[str | int, ...]


class Locator:
    """Finds places in the files of a tree. Files that have changed meanwhile give the package's own place."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._parsed: dict[str, Parsed | None] = {}
        self._shared: dict[str, list[tuple[str, str]]] = {}
        self._values: dict[str, Any] | None = None

    def definition(self, package: Package, path: Steps) -> Place:
        """Where ``path`` of a package's definition is."""
        collection = package.entry >= 0
        file = f"{package.folder}/{'collection.yaml' if collection else 'definition.yaml'}"
        if file not in self._parsed:
            source, _ = open_source(file)
            self._parsed[file] = parse(source.text, source.path) if source else None
        parsed = self._parsed[file]
        base: Steps = ("packages", package.entry) if collection else ()
        return parsed.place((*base, *path)) if parsed else package.place

    def build(self, package: Package, path: Steps) -> Place:
        """Where ``path`` of a package's build.yaml is, in the template."""
        source, _ = open_source(f"{package.folder}/build.yaml")
        if source is None:
            return package.place
        values = template_values(package.definition, self._value_files())
        try:
            return render_document(source, values, self._templates(package.folder), None).parsed.place(path)
        except FarmError:
            return Place(source.path)

    def _value_files(self) -> dict[str, Any]:
        if self._values is None:
            try:
                self._values = read_value_files([Path(file) for file in self._tree.values])
            except FarmError:
                self._values = {}
        return self._values

    def _templates(self, folder: str) -> list[tuple[str, str]]:
        root = next((r for r in self._tree.roots if f"{folder}/".startswith(f"{r.rstrip('/')}/")), "")
        if root not in self._shared:
            sources = (open_source(path)[0] for path in shared_templates(root)) if root else ()
            self._shared[root] = [(source.path, source.text) for source in sources if source]
        return self._shared[root]
