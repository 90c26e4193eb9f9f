# SPDX-License-Identifier: GPL-3.0-or-later
"""Reposcan files (kit-cache), as anise-portage-converter and the Funtoo tools read them: version 1.0.6."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.kit.atom import Cpv
from farm.kit.confine import check_confinement
from farm.kit.ebuilds import Kit, md5
from farm.kit.manifest import Distfile, salvage
from farm.kit.metadata.entry import Metadata
from farm.kit.metadata.reading import MetadataReader
from farm.kit.metadata.scan import Scanned
from farm.kit.model import Source
from farm.kit.tree import FolderTree
from farm.spec.problem import Problem
from farm.spec.whole import write_whole

VERSION = "1.0.6"
KEYS = ("DEPEND", "RDEPEND", "SLOT", "SRC_URI", "RESTRICT", "HOMEPAGE", "LICENSE", "DESCRIPTION", "KEYWORDS",
        "INHERITED", "IUSE", "REQUIRED_USE", "PDEPEND", "BDEPEND", "EAPI", "PROPERTIES", "DEFINED_PHASES", "HDEPEND",
        "PYTHON_COMPAT")  # fmt: skip
"""The keys of an entry, in the order of ``metadata_out``. HDEPEND and PYTHON_COMPAT are Funtoo's, and empty."""

_DEPENDS = ("DEPEND", "RDEPEND", "PDEPEND", "BDEPEND", "HDEPEND")
_ATOM = re.compile(r"!{0,2}(?:[<>]=?|=|~)?([A-Za-z0-9_][\w+.-]*/[A-Za-z0-9_][\w+-]*)")
_VERSIONED = re.compile(r"(.+?)-[0-9]+(?:\.[0-9]+)*[a-z]?(?:_(?:alpha|beta|pre|rc|p)[0-9]*)*(?:-r[0-9]+)?\*?")


def reposcan(kit: Kit, scanned: Scanned) -> bytes:
    """The file of a kit."""
    atoms = {str(cpv): _atom(kit, cpv, entry) for cpv, entry in sorted(scanned.found.items())}
    errors = {str(cpv): {"kit": kit.name, "branch": kit.branch, "status": "ebuild.sh failure", "output": why}
              for cpv, why in sorted(scanned.failed.items())}  # fmt: skip
    document: dict[str, Any] = {"cache_data_version": VERSION, "atoms": atoms, "metadata_errors": errors}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _atom(kit: Kit, cpv: Cpv, entry: Metadata) -> dict[str, Any]:
    keys = {**{key: entry.keys.get(key, "") for key in KEYS}, "INHERITED": " ".join(sorted(entry.eclasses))}
    kinds = {kind: found for kind in _DEPENDS if (found := relations(entry.keys.get(kind, "")))}
    path = f"{cpv.catpkg}/Manifest"
    manifest = kit.tree.read(path) if path in kit.tree.entries else b""
    lines = salvage(manifest).distfiles
    atom: dict[str, Any] = {
        "atom": str(cpv),
        "category": cpv.category,
        "package": cpv.name,
        "revision": str(cpv.revision),
        "catpkg": cpv.catpkg,
        "eclasses": [[name, value] for name, value in sorted(entry.eclasses.items())],
        "kit": kit.name,
        "branch": kit.branch,
        "relations": sorted({name for found in kinds.values() for name in found}),
        "relations_by_kind": kinds,
        "metadata": keys,
        "metadata_out": "".join(f"{keys[key]}\n" for key in KEYS),
        "manifest_md5": md5(manifest) if manifest else "",
        "md5": entry.md5,
        "files": [_file(name, uris, lines) for name, uris in sorted(entry.distfiles.items())],
    }
    return {key: value for key, value in atom.items() if value not in ("", [], {})}


def _file(name: str, uris: tuple[str, ...], lines: Mapping[str, Distfile]) -> dict[str, Any]:
    line = lines.get(name)
    hashes = {kind.lower(): value for kind, value in line.hashes.items()} if line else {}
    return {"src_uri": list(uris), "size": str(line.size) if line else "", "hashes": hashes, "name": name}


def relations(text: str) -> list[str]:
    """``category/name`` of every atom of a dependency string, sorted; blockers are no relation."""
    found = set()
    for word in text.split():
        match = _ATOM.match(word)
        if not match or word.startswith("!"):
            continue
        name = match[1]
        if re.match(r"!{0,2}(?:[<>]=?|=|~)", word) and (versioned := _VERSIONED.fullmatch(_bare(word))):
            name = versioned[1]
        found.add(name)
    return sorted(found)


def _bare(word: str) -> str:
    """An atom without operator, slot and USE."""
    return re.sub(r"[:\[].*", "", word.lstrip("!<>=~"))


def write_reposcans(sources: Sequence[Source], folder: Path, to: Path, cache: Path) -> list[Problem]:
    """Writes ``TO/NAME-BRANCH`` for each clone ``folder/NAME``: what portage could not read.

    Every clone's eclasses are at hand for all of them.
    """
    check_confinement()
    to.mkdir(parents=True, exist_ok=True)
    kits = [Kit(source.name, FolderTree(folder / source.name), source.branch) for source in sources]
    problems = []
    with MetadataReader(cache, kits) as reader:
        for kit in kits:
            scanned = reader.read(kit, [cpv for cpvs in kit.packages.values() for cpv in cpvs])
            write_whole(to / f"{kit.name}-{kit.branch.replace('/', '_')}", reposcan(kit, scanned))
            for cpv, why in sorted(scanned.failed.items()):
                message = f"{kit.name}: {cpv}: portage cannot read it: {why}"
                problems.append(Problem("bad-ebuild", message, package=str(cpv)))
    return problems
