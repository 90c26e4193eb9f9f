# SPDX-License-Identifier: GPL-3.0-or-later
"""The nouns of an autogen specification, as frozen data. The format is mark-devkit's; docs/autogen.md has all of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farm.spec.problem import Place, Problem


@dataclasses.dataclass(frozen=True, slots=True)
class ForgeQuery:
    """``github:``, ``gitlab:``, ``forgejo:``. ``pages`` None: one page, as large as the server likes."""

    user: str = ""
    repo: str = ""
    query: str = "releases"
    match: str = ""
    ignore_tags: bool = False
    per_page: int | None = None
    first_page: int = 1
    pages: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """``dir:``, an HTML page with links to tarballs."""

    url: str = ""
    matcher: str = ""
    exclude: str = ""
    ignore_artefacts: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class JsonQuery:
    """``json:``, a JSON document and the JSONPath expressions that pick from it."""

    url: str = ""
    method: str = "GET"
    params: Mapping[str, str] = dataclasses.field(default_factory=dict)
    exclude: str = ""
    version_filter: str = ""
    src_uri_filter: str = ""
    map_filter_vars: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Python:
    """What only the generator builtin-pypi reads."""

    compat: str = ""
    requires_ignore: bool = False
    deps_ignore: tuple[str, ...] = ()
    name: str = ""
    deps: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Asset:
    """One wanted file of a release. All but ``local`` are rendered."""

    use: str = ""
    name: str = ""
    matcher: str = ""
    prefix: str = ""
    url: str = ""
    local: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Transform:
    """One change of a version's text. ``kind`` is string or regex (Go's syntax)."""

    kind: str
    match: str
    replace: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Atom:
    """A package to generate, with its definition's defaults already in it.

    ``written`` is the merged mapping itself, which custom scripts get to see.
    """

    name: str
    place: Place
    category: str = ""
    tarball: str = ""
    template: str = ""
    files_dir: str = ""
    user_agent: str = ""
    revision: int = 0
    github: ForgeQuery = dataclasses.field(default_factory=ForgeQuery)
    gitlab: ForgeQuery = dataclasses.field(default_factory=ForgeQuery)
    forgejo: ForgeQuery = dataclasses.field(default_factory=ForgeQuery)
    listing: Listing = dataclasses.field(default_factory=Listing)
    json: JsonQuery = dataclasses.field(default_factory=JsonQuery)
    python: Python = dataclasses.field(default_factory=Python)
    vars: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    assets: tuple[Asset, ...] = ()
    transforms: tuple[Transform, ...] = ()
    excludes: tuple[str, ...] = ()
    selector: tuple[str, ...] = ()
    selector_by_slot: bool = False
    ignore_artefacts: bool = False
    written: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def catpkg(self) -> str:
        """``category/name``."""
        return f"{self.category}/{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class ExtensionOptions:
    """An entry of ``extensions_defs``: which extension it is, and its options."""

    name: str
    options: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Definition:
    """One named block of the file."""

    name: str
    generator: str
    options: Mapping[str, str]
    engine: str
    engine_options: tuple[str, ...]
    extensions: Mapping[str, ExtensionOptions]
    atoms: tuple[Atom, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Specification:
    """A whole file: its definitions in the order they are written. ``warnings`` stop nothing."""

    file: Path
    definitions: tuple[Definition, ...]
    warnings: tuple[Problem, ...] = ()
