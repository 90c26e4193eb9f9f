# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest of what a package's own spec says: equal digests, nothing in the spec changed what clients get.

It covers what enters the keys of the package's own jobs (the rendered build.yaml, the files of its folder) and what
clients act upon (relations, use flags, annotations, the finalizer). Descriptions, licences, URLs and labels are not in
it, nor is anything of the packages below: those are for ``autobump.revdeps``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from farm.spec.model import Build, Package

VERSION = 1
SPEC_FILES = ("definition.yaml", "build.yaml", "collection.yaml", "finalize.yaml")
"""Left out of a job's root, and so of its key, unless one of its commands names them."""


def spec_digest(package: Package) -> str:
    """The sha256 of `spec_document`'s canonical JSON."""
    text = json.dumps(spec_document(package), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def spec_document(package: Package) -> dict[str, Any]:
    """What the digest is of, as plain data. Fields appear only when they are set, so that new ones change nothing."""
    fields = {
        "build": _build(package.build) if package.build else None,
        "files": _files(package),
        "requires": [str(item) for item in package.requires],
        "conflicts": [str(item) for item in package.conflicts],
        "provides": [str(item) for item in package.provides],
        "use_flags": list(package.use_flags),
        "annotations": package.annotations,
        "hidden": package.hidden,
        "finalizer": package.finalizer,
    }
    return {"version": VERSION, "package": str(package.id)} | {key: value for key, value in fields.items() if value}


def _build(build: Build) -> dict[str, Any]:
    """Without what no key has: resources, platforms, and where sources lie."""
    plain = {f.name: getattr(build, f.name) for f in dataclasses.fields(build)}
    kept = {key: value for key, value in plain.items() if key not in ("resources", "platforms", "sources") and value}
    if build.network is not None:
        kept["network"] = build.network
    for key in ("requires", "conflicts", "provides"):
        if key in kept:
            kept[key] = [str(item) for item in kept[key]]
    if build.copy:
        kept["copy"] = [[str(c.package or ""), c.image, c.source, c.destination] for c in build.copy]
    if build.sources:
        kept["sources"] = [[s.sha256, s.unpack, s.strip, s.rename] for s in build.sources]
    return kept


def _files(package: Package) -> list[list[Any]]:
    if package.build is None or not (package.build.prelude or package.build.steps):
        return []
    text = "\n".join((*package.build.prelude, *package.build.steps))
    files = (file for file in package.files if file.path not in SPEC_FILES or file.path in text)
    return [[file.path, file.sha256, file.mode, file.link] for file in files]
