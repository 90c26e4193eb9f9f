# SPDX-License-Identifier: GPL-3.0-or-later
"""From folders to a `Tree`: every spec below some roots, with all that is wrong with each."""

from __future__ import annotations

import contextlib
import gc
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.spec.cache import Cache
from farm.spec.folder import Reader, Record
from farm.spec.model import Duplicate, Package, PackageId, SpecFile, Tree
from farm.spec.package import make_package
from farm.spec.problem import FarmError, Place, Problem, error
from farm.spec.scan import Folder, printable, read_regular, scan, shared_templates
from farm.spec.values import read_value_files
from farm.spec.yamltext import decode


def load(
    trees: Sequence[Path],
    values: Sequence[Path] = (),
    *,
    cache: Path | None = None,
    staged: Mapping[str, str] | None = None,
) -> Tree:
    """Loads all packages of ``trees``, rendered with the value files ``values``.

    A package that is defined twice is taken from the first tree (in one tree: from the first folder). What is wrong
    with a package is in ``Tree.problems`` and stops nothing else. Only what concerns all of them raises FarmError:
    a tree that is not there (``missing-tree``), and value files that cannot be read. ``cache`` is a folder for the
    parsed trees; None: everything is read. ``staged`` has for folders of specs (absolute paths) other folders that are
    read in their place: how the tree will be once what they hold is written back.
    """
    roots = _roots(trees)
    files = [file.absolute() for file in values]
    data = read_value_files(files)
    problems: list[Problem] = []
    shared = {root: _shared(root, problems) for root in roots}
    context = json.dumps([data, shared], sort_keys=True).encode()
    with _without_gc():
        kept = Cache(cache, [*roots, *map(str, files)], context)
        assembly = _Assembly(problems, staged or {})
        for root in roots:
            reader = Reader(data, shared[root])
            for folder in scan(root, problems):
                assembly.add(root, folder, kept, reader)
        kept.save()
    found = tuple(sorted(set(problems), key=_order))
    return Tree(assembly.packages, found, tuple(roots), tuple(map(str, files)), tuple(assembly.duplicates))


class _Assembly:
    """Packages by identity; the first one wins."""

    def __init__(self, problems: list[Problem], staged: Mapping[str, str]) -> None:
        self.packages: dict[PackageId, Package] = {}
        self.duplicates: list[Duplicate] = []
        self.problems = problems
        self.staged = staged
        self.owners: dict[PackageId, str] = {}
        self.seen: set[str] = set()

    def add(self, root: str, folder: Folder, cache: Cache, reader: Reader) -> None:
        """Takes in all packages of a folder. One that lies in two of the trees is looked at once."""
        if folder.path in self.seen:
            return
        self.seen.add(folder.path)
        record = cache.get(folder)
        if record is None:
            record = reader.read(folder)
            cache.put(folder, record)
        place = self.staged.get(folder.path, folder.path)
        if place != folder.path:
            record = _read_staged(place, folder.path, reader)
        self.problems += map(_problem, record["problems"])
        files = tuple(_file(place, item) for item in record["files"])
        for item in record["packages"]:
            self._put(root, _package(item, files, folder.path))

    def _put(self, root: str, package: Package) -> None:
        first = self.packages.setdefault(package.id, package)
        if first is package:
            self.owners[package.id] = root
            return
        same_tree = self.owners[package.id] == root
        self.duplicates.append(Duplicate(package.id, first.place, package.place, same_tree))


def _read_staged(place: str, path: str, reader: Reader) -> Record:
    """The record of the folder ``path`` as it is in ``place``. What people are shown are places in ``path``."""
    problems: list[Problem] = []
    folders = scan(place, problems)
    if problems:
        raise FarmError(problems)
    record = reader.read(folders[0])
    for shown in (item["place"] for item in record["problems"] if item["place"]):
        shown["file"] = path + shown["file"].removeprefix(place)
    for package in record["packages"]:
        package["place"][0] = path + package["place"][0].removeprefix(place)
    return record


def _roots(trees: Sequence[Path]) -> list[str]:
    missing = [tree for tree in trees if not tree.is_dir()]
    if missing:
        hint = "give a folder with --tree"
        raise FarmError(
            [Problem("missing-tree", f"no such folder: {tree}", Place(str(tree)), hint) for tree in missing]
        )
    roots = list(dict.fromkeys(os.path.realpath(tree) for tree in trees))
    for root in roots:
        if printable(root) != root:
            raise error("bad-file-name", f"the path of the tree is not UTF-8: {printable(root)}")
    return roots


def _shared(root: str, problems: list[Problem]) -> list[tuple[str, str]]:
    shared = []
    for path in shared_templates(root):
        try:
            text, found = decode(read_regular(path), printable(path))
        except OSError as e:
            text, found = "", [Problem("unreadable-file", f"cannot be read: {e.strerror or e}", Place(printable(path)))]
        problems += found
        shared.append((printable(path), text))
    return shared


def _package(item: Record, files: tuple[SpecFile, ...], folder: str) -> Package:
    place = Place(*item["place"])
    build, finalizer, entry = item.get("build"), item.get("finalizer"), item["entry"]
    definition = item["definition"]
    return make_package(
        definition, build=build, finalizer=finalizer, files=files, folder=folder, place=place, entry=entry
    )


def _file(folder: str, item: list[Any]) -> SpecFile:
    path, sha256, mode, link = item
    return SpecFile(path, sha256, mode, link, f"{folder}/{path}")


def _problem(data: dict[str, Any]) -> Problem:
    place = data["place"]
    return Problem(**{**data, "place": Place(**place) if place else None})


def _order(problem: Problem) -> tuple[Any, ...]:
    return (problem.place or Place(""), problem.code, problem.message, problem.package or "")


@contextlib.contextmanager
def _without_gc() -> Iterator[None]:
    """Loading makes only data that stays and has no cycles: looking for garbage in it, now and later, is a waste."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
