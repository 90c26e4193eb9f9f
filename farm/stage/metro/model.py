# SPDX-License-Identifier: GPL-3.0-or-later
"""A job of a metro file as frozen data: rendered, checked, all paths absolute."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from farm.spec.problem import Place

HookType = Literal[
    "outer-pre-sourcer", "outer-pre-chroot", "inner-chroot", "outer-chroot", "outer-post-chroot", "outer-post-output"
]
HOOK_TYPES: tuple[HookType, ...] = get_args(HookType)
ON_HOST: frozenset[HookType] = frozenset(
    ("outer-pre-sourcer", "outer-pre-chroot", "outer-post-chroot", "outer-post-output")
)
"""Types that run on the host. ``outer-chroot`` is not one of them: mark-devkit runs it in the root, too."""

Compression = Literal["none", "gzip", "bzip2", "xz", "zstd"]
NOWHERE = Place("")


@dataclasses.dataclass(frozen=True, slots=True)
class Bind:
    """A folder of the host (as written: relative to the working directory) in the root."""

    source: str
    target: str
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class Hook:
    """Commands that run one after the other, each as ``entrypoint`` with the command as its last argument.

    ``number`` counts all hooks of the job from 1, in the order of files and of hooks in a file.
    """

    number: int
    name: str
    type: HookType
    commands: tuple[str, ...]
    entrypoint: tuple[str, ...] = ()
    binds: tuple[Bind, ...] = ()
    description: str = ""
    place: Place = NOWHERE

    @property
    def on_host(self) -> bool:
        """Whether it runs on the host."""
        return self.type in ON_HOST


@dataclasses.dataclass(frozen=True, slots=True)
class TarRules:
    """What of an archive is taken, and how: the keys of a tar-formers spec that change the result.

    Paths begin with ``/``. ``renames`` name whole paths, ``prefixes`` beginnings of paths; ids are (from, to).
    """

    match_prefix: tuple[str, ...] = ()
    ignore_files: tuple[str, ...] = ()
    ignore_regexes: tuple[str, ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    prefixes: tuple[tuple[str, str], ...] = ()
    uids: tuple[tuple[int, int], ...] = ()
    gids: tuple[tuple[int, int], ...] = ()
    same_owner: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class HttpSource:
    """A root tarball at ``uri``, kept as file ``target``. ``signature``: URL of one that was made with ``key``."""

    uri: str
    target: Path
    sha256: str = ""
    signature: str = ""
    key: str = ""
    rules: TarRules = TarRules()
    place: Place = NOWHERE


@dataclasses.dataclass(frozen=True, slots=True)
class AniseSource:
    """``repositories`` and then ``packages``, installed by the farm's client with ``config`` (None: its own)."""

    config: Path | None
    repositories: tuple[str, ...]
    packages: tuple[str, ...]
    place: Place = NOWHERE


Source = HttpSource | AniseSource


@dataclasses.dataclass(frozen=True, slots=True)
class Output:
    """The tarball ``folder/name``."""

    folder: Path
    name: str
    compression: Compression
    rules: TarRules = TarRules()
    place: Place = NOWHERE

    @property
    def file(self) -> Path:
        """Where it comes to lie."""
        return self.folder / self.name


@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    """A whole job. ``moment`` is the present time of all its templates; ``written`` is the job as in the file."""

    name: str
    specfile: Path
    source: Source
    output: Output
    workspace: Path
    options: Mapping[str, Any]
    environment: tuple[tuple[str, str], ...]
    binds: tuple[Bind, ...]
    hooks: tuple[Hook, ...]
    moment: datetime.datetime
    written: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False)
    place: Place = NOWHERE

    @property
    def rootfs(self) -> Path:
        """Where hooks on the host find the root."""
        return self.workspace / "rootfs"

    def of_type(self, *types: HookType) -> tuple[Hook, ...]:
        """The hooks of these types, in their order."""
        return tuple(hook for hook in self.hooks if hook.type in types)
