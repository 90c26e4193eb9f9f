# SPDX-License-Identifier: GPL-3.0-or-later
"""What a spec tree says, as frozen data: packages, how they are built, and the tree that holds them.

The format is anise's (luet's); docs/spec-format.md describes it with the farm's additions.
Sizes are in bytes, times in seconds.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from farm.spec.problem import Place, Problem


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class PackageId:
    """The identity of a package. ``str()`` is ``category/name-version``."""

    category: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.category}/{self.name}-{self.version}"

    @property
    def atom(self) -> str:
        """``category/name``."""
        return f"{self.category}/{self.name}"

    @property
    def fingerprint(self) -> str:
        """``name-category-version``: anise's name for a package's files."""
        return f"{self.name}-{self.category}-{self.version}"


@dataclasses.dataclass(frozen=True, slots=True)
class Requirement:
    """A package asked for. ``version`` is the selector's text as written; empty admits every version."""

    category: str
    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.category}/{self.name}" + (f"@{self.version}" if self.version else "")

    @property
    def atom(self) -> str:
        """``category/name``."""
        return f"{self.category}/{self.name}"


@dataclasses.dataclass(frozen=True, slots=True)
class SpecFile:
    """A regular file or symbolic link of a spec's folder.

    ``path`` is relative to the folder, with ``/``; ``mode`` the twelve permission bits. A link has its target
    in ``link`` and an empty ``sha256``. ``origin`` is the absolute path on this host.
    """

    path: str
    sha256: str
    mode: int
    link: str | None = None
    origin: str = dataclasses.field(default="", compare=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """An upstream file, verified by ``sha256``, that a build needs.

    ``unpack`` is the folder below the working directory that it is unpacked into, without the first ``strip``
    parts of each path (``.``: the working directory itself). When it is None, the file itself is put into the
    working directory as ``rename``. ``mirrors`` are tried when ``url`` fails. ``platforms``: what it is needed for, if
    not for all.
    """

    url: str
    sha256: str
    mirrors: tuple[str, ...] = ()
    unpack: str | None = None
    strip: int = 0
    rename: str = ""
    platforms: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class CopyFrom:
    """``COPY --from`` another package's root (``package``) or a base image (``image``): exactly one is set."""

    package: Requirement | None
    image: str
    source: str
    destination: str


@dataclasses.dataclass(frozen=True, slots=True)
class Resources:
    """What a build asks for; None: the farm's default. ``time``: seconds that it is expected to take."""

    cores: int | None = None
    memory: int | None = None
    disk: int | None = None
    timeout: float | None = None
    silent_timeout: float | None = None
    time: float | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Build:
    """A build.yaml after its template was rendered. ``network`` None: the farm's default.

    ``platforms`` it can be built for (none: all); ``cross``: in a root of another platform, too, with a cross toolchain
    that it requires; ``accelerate``: an emulated root may have native compilers on top.
    """

    image: str = ""
    requires: tuple[Requirement, ...] = ()
    conflicts: tuple[Requirement, ...] = ()
    provides: tuple[Requirement, ...] = ()
    prelude: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    package_dir: str = ""
    unpack: bool = False
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    retrieve: tuple[str, ...] = ()
    copy: tuple[CopyFrom, ...] = ()
    requires_final_images: bool = False
    sources: tuple[Source, ...] = ()
    network: bool | None = None
    resources: Resources = Resources()
    platforms: tuple[str, ...] = ()
    cross: bool = False
    accelerate: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Package:
    """One package of a tree.

    ``build`` is None when the folder has no build.yaml, or a bad one (then ``Tree.problems`` says so).
    ``definition`` is its definition as data, before value files; ``finalizer`` the rendered finalize.yaml.
    ``place`` is where it is defined, ``entry`` its index in a collection.yaml (-1: it has a definition.yaml).
    """

    id: PackageId
    requires: tuple[Requirement, ...] = ()
    conflicts: tuple[Requirement, ...] = ()
    provides: tuple[Requirement, ...] = ()
    use_flags: tuple[str, ...] = ()
    hidden: bool = False
    annotations: dict[str, Any] = dataclasses.field(default_factory=dict)
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    description: str = ""
    uri: tuple[str, ...] = ()
    license: str = ""
    build: Build | None = None
    files: tuple[SpecFile, ...] = ()
    folder: str = ""
    place: Place = dataclasses.field(default=Place(""))
    definition: dict[str, Any] = dataclasses.field(default_factory=dict)
    finalizer: dict[str, Any] | None = None
    entry: int = -1

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def build_requires(self) -> tuple[Requirement, ...]:
        """What its base root is made of: luet takes definition.yaml's where build.yaml has none; none with an image."""
        if self.build is None or self.build.image:
            return ()
        return self.build.requires or self.requires

    @property
    def virtual(self) -> bool:
        """Whether it only stands for its requirements and makes an empty package (luet's IsVirtual)."""
        b = self.build
        if b is None:
            return False
        return not (b.image or b.requires or b.prelude or b.steps or b.unpack or b.package_dir)


@dataclasses.dataclass(frozen=True, slots=True)
class Duplicate:
    """A package that is defined twice: ``place`` is used, ``other`` is not."""

    id: PackageId
    place: Place
    other: Place
    same_tree: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Tree:
    """All packages of the trees loaded together, and what was found wrong with them.

    ``problems`` with severity ``error`` and a ``package`` tell that this package cannot be built; one whose very
    identity could not be read has no ``package`` and is not in ``packages``. ``roots`` are the trees' absolute
    paths, ``values`` those of the value files.
    """

    packages: dict[PackageId, Package]
    problems: tuple[Problem, ...] = ()
    roots: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    duplicates: tuple[Duplicate, ...] = ()
