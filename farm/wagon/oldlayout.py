# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the old layout of wagons: ``tree`` has the definitions, ``meta`` one index with all packages' metadata.

Source: mudler/luet, ``LuetSystemRepositoryMetadata``: a tarball with the file ``repository.meta.yaml``, whose key
``index`` is a list of what else is in the ``.metadata.yaml`` files.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from farm.spec.model import PackageId
from farm.spec.problem import Place, error
from farm.wagon.metadata import Metadata, metadata_from, read_metadata
from farm.wagon.quickyaml import read_whole
from farm.wagon.reading import Entry, OpenFile, read_tar
from farm.wagon.repository import RepoFile

INDEX = "repository.meta.yaml"
_HEAD = re.compile(r"(?:#[^\n]*\n|---\n)*index:[ ]*\n")
_FIRST = re.compile(r"( *)- ")


def read_old(tree: RepoFile, meta: RepoFile, open_file: OpenFile) -> dict[PackageId, Entry]:
    """The packages that both files have."""
    definitions = _definitions(tree, open_file)
    packages = {}
    for metadata in _index(meta, open_file):
        if metadata.id in definitions:
            packages[metadata.id] = Entry(metadata, *definitions[metadata.id])
    return dict(sorted(packages.items()))


def _definitions(tree: RepoFile, open_file: OpenFile) -> dict[PackageId, tuple[bytes, bytes | None]]:
    """Definition and finalizer of each package; folders' names mean nothing."""
    folders: dict[str, dict[str, bytes]] = {}
    for path, content in read_tar(tree, open_file):
        folder, _, name = path.rpartition("/")
        if name in ("definition.yaml", "finalize.yaml"):
            folders.setdefault(folder, {})[name] = content
    found = {}
    for folder, files in folders.items():
        if "definition.yaml" in files:
            text = files["definition.yaml"]
            found[_identity(text, f"{folder}/definition.yaml")] = (text, files.get("finalize.yaml"))
    return found


def _identity(text: bytes, name: str) -> PackageId:
    runtime = "runtime:\n" + textwrap.indent(text.decode("utf-8", "replace"), "  ")
    data = (read_whole(runtime, name) or {}).get("runtime")
    if not isinstance(data, dict):
        raise error("bad-wagon", "no definition", place=Place(name))
    identity = [data.get(key) for key in ("category", "name", "version")]
    if not all(isinstance(value, str) and value for value in identity):
        raise error("bad-wagon", "a definition without name, category or version", place=Place(name))
    return PackageId(*map(str, identity))


def _index(meta: RepoFile, open_file: OpenFile) -> Iterator[Metadata]:
    for path, content in read_tar(meta, open_file):
        if path == INDEX:
            yield from _items(content.decode("utf-8", "replace"))
            return
    raise error("bad-wagon", f"{meta.filename} has no {INDEX}")


def _items(text: str) -> Iterator[Metadata]:
    """The index is read one package at a time: as a whole it is more than a YAML document may be."""
    head = _HEAD.match(text)
    first = _FIRST.match(text, head.end()) if head else None
    if head is None or first is None:
        data = read_whole(text, INDEX)
        items = data.get("index") if isinstance(data, dict) else None
        yield from (metadata_from(item, INDEX) for item in items or ())
        return
    mark = f"{first.group(1)}- "
    for part in re.split(rf"^{mark}", text[head.end() :], flags=re.MULTILINE)[1:]:
        yield read_metadata(textwrap.dedent(" " * len(mark) + part).encode(), INDEX)
