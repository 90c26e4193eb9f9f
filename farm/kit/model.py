# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kit specification and a release specification say, as data. The format is mark-devkit's (docs/kits.md)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from farm.kit.atom import Wanted
from farm.spec.problem import Place, Problem


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A kit to read: one branch of a repository, or one commit of it. ``depth`` None: as the command says."""

    name: str
    url: str
    branch: str = "master"
    commit: str = ""
    depth: int | None = None
    priority: int | None = None
    place: Place | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class MirrorMode:
    """How a mirror lays its files out: ``flat``, or ``content-hash`` with a hash and the bits of each folder."""

    type: str = "flat"
    hash: str = ""
    hash_mode: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Mirror:
    """An entry of ``thirdpartymirrors`` or ``fallback_mirrors``; no modes: its layout.conf says them."""

    alias: str
    uris: tuple[str, ...] = ()
    modes: tuple[MirrorMode, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Fixup:
    """A file or folder put into the kit. ``origin`` is absolute; ``to`` is relative to the kit; ``name`` is its PR's.

    ``keep_files``: regular expressions of files below ``to`` that stay although the folder does not have them.
    """

    origin: Path
    is_folder: bool
    to: str
    name: str
    keep_files: tuple[str, ...] = ()
    place: Place | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One atom of a specification, its defaults put in.

    ``max_versions`` None: nothing is said. ``versions`` are pins: taken by merge, and never removed by clean.
    """

    wanted: Wanted
    max_versions: int | None = None
    conditions: tuple[str, ...] = ()
    ignore_slot: bool = False
    versions: tuple[str, ...] = ()
    place: Place | None = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """The kit that is made. ``eclasses``: source → regular expressions of eclass files to take."""

    name: str
    url: str
    branch: str
    eclasses: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    layout_masters: str = ""
    aliases: tuple[str, ...] = ()
    manifest_hashes: tuple[str, ...] = ()
    manifest_required_hashes: tuple[str, ...] = ()
    has_metadata: bool = False
    mirrors: tuple[Mirror, ...] = ()
    fixups: tuple[Fixup, ...] = ()
    default_max_versions: int | None = None
    rules: tuple[Rule, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class KitSpec:
    """A kit specification. ``problems`` holds warnings. ``target`` is None for a list of sources alone."""

    file: Path
    sources: tuple[Source, ...]
    target: Target | None
    fallback_mirrors: tuple[Mirror, ...] = ()
    problems: tuple[Problem, ...] = ()
    shown: str = ""
    """The file's name as the user gave it."""


@dataclasses.dataclass(frozen=True, slots=True)
class ReleaseSpec:
    """A release: its kits in order, the main one, and the meta-repo that pins them."""

    file: Path
    sources: tuple[Source, ...]
    main_kit: str
    name: str
    url: str
    branch: str
    problems: tuple[Problem, ...] = ()
