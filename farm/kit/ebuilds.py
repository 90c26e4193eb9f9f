# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kit holds: its packages and ebuilds, found by name alone."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence

from farm.kit.atom import Cpv, ebuild_of
from farm.kit.manifest import Manifest, parse_manifest
from farm.kit.tree import Entry, Tree


def md5(content: bytes) -> str:
    """The md5 by which caches of metadata name contents (no protection against anybody)."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@dataclasses.dataclass(frozen=True)
class Kit:
    """A kit by its files. ``name`` is the spec's name, ``branch`` what was read (both empty for a plain folder)."""

    name: str
    tree: Tree
    branch: str = ""

    @functools.cached_property
    def packages(self) -> Mapping[str, Sequence[Cpv]]:
        """``category/name`` → its ebuilds in PMS order; both sorted."""
        found: dict[str, list[Cpv]] = {}
        for path in self.tree.entries:
            cpv = ebuild_of(path) if path.endswith(".ebuild") else None
            if cpv is not None:
                found.setdefault(cpv.catpkg, []).append(cpv)
        return {name: sorted(found[name]) for name in sorted(found)}

    @functools.cached_property
    def _folders(self) -> Mapping[str, Mapping[str, Entry]]:
        """``category/name`` → its files by path relative to it."""
        found: dict[str, dict[str, Entry]] = {}
        for path, entry in self.tree.entries.items():
            parts = path.split("/", 2)
            if len(parts) == 3:
                found.setdefault(f"{parts[0]}/{parts[1]}", {})[parts[2]] = entry
        return found

    @functools.cached_property
    def eclasses(self) -> Mapping[str, Entry]:
        """Name of an eclass (without ``.eclass``) → its file."""
        inside = {path: e for path, e in self.tree.entries.items() if path.startswith("eclass/")}
        plain = {path.removeprefix("eclass/"): e for path, e in inside.items() if path.endswith(".eclass")}
        return {name.removesuffix(".eclass"): e for name, e in plain.items() if "/" not in name}

    @functools.cached_property
    def masters(self) -> Sequence[str]:
        """Names of ``masters`` in metadata/layout.conf."""
        return self.layout.get("masters", "").split()

    @functools.cached_property
    def layout(self) -> Mapping[str, str]:
        """metadata/layout.conf as key → value; empty without the file."""
        return parse_layout(self.read_text("metadata/layout.conf"))

    @functools.cached_property
    def repo_name(self) -> str:
        """profiles/repo_name, else ``repo-name`` of layout.conf, else the kit's name."""
        return self.read_text("profiles/repo_name").strip() or self.layout.get("repo-name", "") or self.name

    def folder(self, catpkg: str) -> Mapping[str, Entry]:
        """A package's files by path relative to its folder; empty when there is no such package."""
        return self._folders.get(catpkg, {})

    def manifest(self, catpkg: str) -> Manifest:
        """A package's Manifest; empty without one. FarmError ``bad-manifest``."""
        path = f"{catpkg}/Manifest"
        if path not in self.tree.entries:
            return Manifest()
        return parse_manifest(self.tree.read(path), f"{self.name}/{path}")

    def read_text(self, path: str) -> str:
        """A text file of the kit; empty when there is none."""
        return self.tree.read(path).decode("utf-8", "replace") if path in self.tree.entries else ""


def parse_layout(text: str) -> dict[str, str]:
    """Lines ``key = value``; comments and other lines are passed over."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip() for key, value in pairs}
