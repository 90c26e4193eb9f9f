# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage as frozen data: what its root is made of, what runs in it, what it is given out as.

Whatever a stage was written in (a stage file, a job of a metro file), it becomes a `Stage`, and from there on
everything is the same code. All paths are absolute, all templates are rendered. ``place`` is where the user wrote it.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal, get_args

from farm.plan.job import EPOCH
from farm.spec.problem import Place

Point = Literal["before-seed", "after-seed", "after-packages", "before-outputs", "after-outputs"]
POINTS: tuple[Point, ...] = get_args(Point)
"""When a hook runs. At the first and the last there is no root to go into: only hooks on the host run there."""

Where = Literal["root", "host"]
"""In the stage's root, in the sandbox; or on the host, which the command line has to allow."""

Format = Literal["tar", "tar.gz", "tar.xz", "tar.zst", "oci", "lxd"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIX: dict[Format, str] = {**{f: f".{f}" for f in FORMATS}, "oci": ".oci", "lxd": ".lxd.tar.xz"}
"""What the name of an output ends in. ``oci`` is a folder, all others are files."""

NOWHERE = Place("")


@dataclasses.dataclass(frozen=True, slots=True)
class ArchiveSeed:
    """A root tarball. ``sha256`` or ``key`` is set, or both.

    ``key`` is a minisign public key (its text of 56 letters) and ``signature`` where the signature is.
    """

    url: str
    sha256: str = ""
    signature: str = ""
    key: str = ""
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class OciSeed:
    """An image of an OCI layout on this host. ``digest``: of its manifest (hex of sha256); empty: whatever is there."""

    layout: Path
    tag: str = "latest"
    digest: str = ""
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class DockerSeed:
    """An image of the local Docker engine."""

    image: str
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class DebootstrapSeed:
    """A Debian or Ubuntu root; fields as in `farm.plan.job.Seed`."""

    suite: str = ""
    variant: str = "minbase"
    packages: tuple[str, ...] = ()
    components: tuple[str, ...] = ("main",)
    date: str = ""
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class StageSeed:
    """The root of another stage, made in the same graph. ``quick``: the stage whose last good tarball replaces it."""

    stage: str
    quick: str = ""
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class WagonSeed:
    """Packages of wagons, installed into an empty root by the client. ``key``: what the wagons are signed with."""

    wagons: tuple[str, ...]
    packages: tuple[str, ...]
    subsets: tuple[str, ...] = ()
    key: str = ""
    finalizers: bool = True
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class EmptySeed:
    """Nothing."""

    place: Place = NOWHERE


Seed = ArchiveSeed | OciSeed | DockerSeed | DebootstrapSeed | StageSeed | WagonSeed | EmptySeed


@dataclasses.dataclass(frozen=True, slots=True)
class Bind:
    """A folder that outlives jobs, at ``target`` in the root. It is never part of what is made.

    ``cache`` is the name of a folder that the store keeps; else ``host`` is a folder of this host, which the
    command line has to allow. Exactly one is set.
    """

    target: str
    cache: str = ""
    host: str = ""
    read_only: bool = False
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class Hook:
    """Commands at a point. Each is one process: ``entrypoint`` with the command as its last argument.

    Without an ``entrypoint`` a command is a shell's (``/bin/sh -c``). ``environment`` is added to the stage's.
    ``network``: whether a hook in the root has one; hooks on the host have the host's.
    """

    name: str
    point: Point
    commands: tuple[str, ...]
    where: Where = "root"
    entrypoint: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    binds: tuple[Bind, ...] = ()
    network: bool = False
    timeout: float | None = None
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """Commands in the finished root that have to succeed; what they change is thrown away."""

    name: str
    commands: tuple[str, ...]
    entrypoint: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    network: bool = False
    timeout: float | None = None
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class PackageSource:
    """Spec trees, with their value files, that packages come from. Settings of a farm.yaml in a tree hold."""

    trees: tuple[Path, ...] = ()
    values: tuple[Path, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """A package asked for: ``category/name[@selector]``."""

    target: str
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class Subset:
    """Which files of packages are installed: rules as of the client's subsets.

    Only files that a regular expression of ``rules`` matches belong to the subset; they are installed when ``name``
    is among the stage's ``subsets``, and left out when not.
    """

    name: str
    rules: tuple[str, ...]
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """What the root is given out as. ``path``: exactly there, without the layout of a mirror; None: in the layout."""

    format: Format
    path: Path | None = None
    level: int | None = None
    docker: str = ""
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class Release:
    """Names of the layout ``<build>/<arch>/<subarch>/<date>/<target>-<subarch>-<build>-<date>``."""

    target: str
    build: str
    arch: str
    subarch: str

    @property
    def folder(self) -> str:
        """``<build>/<arch>/<subarch>``."""
        return f"{self.build}/{self.arch}/{self.subarch}"

    def stem(self, version: str) -> str:
        """The name of every file of this release, without what it ends in."""
        return f"{self.target}-{self.subarch}-{self.build}-{version}"


@dataclasses.dataclass(frozen=True, slots=True)
class Stage:
    """A whole stage.

    ``root``: whether the root begins as the seed's or empty (then the seed is only what packages are built in).
    ``image``: what specs call the root that they are built in, when that is to be the seed's. ``platform`` as of jobs.
    ``excludes`` are Go regular expressions: paths (``/path``) that no output has. ``epoch``: seconds since 1970 that no
    time in the root is later than. ``origin`` is the file it was written in.
    """

    name: str
    seed: Seed
    release: Release
    root: Literal["seed", "empty"] = "seed"
    image: str = ""
    platform: str = "linux/amd64"
    source: PackageSource = PackageSource()
    packages: tuple[Wanted, ...] = ()
    subsets: tuple[str, ...] = ()
    subset_definitions: tuple[Subset, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    binds: tuple[Bind, ...] = ()
    hooks: tuple[Hook, ...] = ()
    checks: tuple[Check, ...] = ()
    check_packages: tuple[Wanted, ...] = ()
    excludes: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    epoch: int = EPOCH
    description: str = ""
    place: Place = NOWHERE

    def hooks_at(self, point: Point, where: Where | None = None) -> tuple[Hook, ...]:
        """The hooks of a point, in the order written; ``where``: only those."""
        return tuple(hook for hook in self.hooks if hook.point == point and where in (None, hook.where))
