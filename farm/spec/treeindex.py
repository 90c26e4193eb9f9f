# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of a spec tree as anise keeps it beside the specs: ``.anise-idx.json``, or ``.anise-idx.json.zstd``.

Format: luet's ``pkg/v2/tree/common.go``, struct TreeIdx. Only clients of anise's read it; the farm reads the specs.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from farm.spec.document import open_source
from farm.spec.problem import FarmError, Place, Problem
from farm.spec.scan import INDEX_NAMES, SPEC_NAMES, scan
from farm.spec.whole import write_whole
from farm.spec.yamltext import TEXT, VERSION, Shape, parse

_IDENTITY: dict[str, Any] = {"name": TEXT, "category": TEXT, "version": VERSION}
_SHAPES: dict[str, Shape] = {"definition.yaml": _IDENTITY, "collection.yaml": {"packages": [_IDENTITY]}}
_ESCAPED = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
"""What Go's encoding/json escapes and Python's does not."""


@dataclasses.dataclass(frozen=True, slots=True)
class Indexed:
    """A package: ``category/name``, its version, and the file that defines it, relative to the tree's parent."""

    atom: str
    version: str
    path: str


@dataclasses.dataclass(frozen=True, slots=True)
class TreeIndex:
    """All packages below ``folder``, in the order of Go's walk. ``basedir`` leads to the tree's parent."""

    folder: Path
    basedir: str
    packages: tuple[Indexed, ...]

    def document(self) -> dict[str, Any]:
        """Plain data; what is empty is left out."""
        by_atom: dict[str, list[dict[str, str]]] = {}
        for package in self.packages:
            by_atom.setdefault(package.atom, []).append({"version": package.version, "path": package.path})
        data = {"packages": dict(sorted(by_atom.items())), "basedir": self.basedir}
        return {key: value for key, value in data.items() if value}

    def to_json(self) -> str:
        """The text of the file: what Go's encoding/json writes."""
        return json.dumps(self.document(), ensure_ascii=False, separators=(",", ":")).translate(_ESCAPED)


def index_tree(tree: Path) -> list[TreeIndex]:
    """The indexes of a tree's folder and of all folders below it that hold packages; the tree's own first.

    FarmError with all that is wrong: without its identity no package can be found.
    """
    root = os.path.realpath(tree)
    base = root.rpartition("/")[0] or "/"
    found = sorted(_packages(root), key=lambda at: at[0].split("/"))
    by_folder: dict[str, list[Indexed]] = {root: []}
    for path, atom, version in found:
        for folder in _folders(path, root):
            by_folder.setdefault(folder, []).append(Indexed(atom, version, path[len(base) :].lstrip("/")))
    return [
        TreeIndex(Path(folder), os.path.relpath(base, folder), tuple(packages))
        for folder, packages in sorted(by_folder.items())
    ]


def write_index(index: TreeIndex, *, compress: bool) -> Path:
    """Puts the index into its folder, in one step, and takes an index of the other form away."""
    plain, packed = (index.folder / name for name in INDEX_NAMES)
    file, other = (packed, plain) if compress else (plain, packed)
    write_whole(file, _compressed(index.to_json()) if compress else index.to_json().encode())
    other.unlink(missing_ok=True)
    return file


def _compressed(text: str) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(write_checksum=True).compress(text.encode())


def _folders(path: str, root: str) -> Iterator[str]:
    """The folder of a file and all above it, up to ``root``."""
    while path != root:
        path = path.rpartition("/")[0]
        yield path


def _packages(root: str) -> Iterator[tuple[str, str, str]]:
    """Path of the defining file, ``category/name`` and version of each package."""
    problems: list[Problem] = []
    for folder in scan(root, problems):
        names = {entry.path for entry in folder.entries}
        for name in SPEC_NAMES:
            if name in names:
                path = f"{folder.path}/{name}"
                yield from ((path, f"{one[1]}/{one[0]}", one[2]) for one in _identities(path, name, problems))
    if problems:
        raise FarmError(problems)


def _identities(path: str, name: str, problems: list[Problem]) -> Iterator[list[str]]:
    """Name, category and version of each package that a file defines."""
    source, wrong = open_source(path)
    if source is None:
        problems += wrong
        return
    parsed = parse(source.text, source.path, _SHAPES[name])
    problems += [problem for problem in parsed.problems if problem.severity == "error"]
    data = parsed.data if isinstance(parsed.data, dict) else {}
    for entry in (data.get("packages") or ()) if name == "collection.yaml" else (data,):
        values = [entry.get(key) if isinstance(entry, dict) else None for key in _IDENTITY]
        if all(isinstance(value, str) and value for value in values):
            yield [str(value) for value in values]
        else:
            problems.append(Problem("missing-key", "a package without name, category or version", Place(path)))
