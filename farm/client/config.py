# SPDX-License-Identifier: GPL-3.0-or-later
"""What is configured for a root: luet.yaml (or anise.yaml) and the folders of files that it names.

The keys, the defaults and the precedence (flags, environment, file, default) are the Go client's; docs/client.md
has the table.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farm.spec.problem import FarmError, Problem, error

FAMILIES = ("luet", "anise")
"""Names under which the Go client goes: in its files, folders and environment variables."""


@dataclasses.dataclass(frozen=True, slots=True)
class RepositoryConfig:
    """A wagon that may be used. ``type``: ``http``, ``disk`` or ``docker``; a lower ``priority`` goes before.

    ``urls`` are tried in order; those of a disk repository are folders of this host. ``auth`` has ``token`` or
    ``basic``. ``file`` is where it is configured. ``key``: it must be signed with this minisign public key.
    """

    name: str
    description: str = ""
    type: str = "http"
    enable: bool = False
    cached: bool = True
    priority: int = 9999
    urls: tuple[str, ...] = ()
    auth: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    verify: bool = False
    key: str = ""
    file: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SubsetDefinition:
    """A local definition of a subset: Go regular expressions on ``/path`` for some packages or categories.

    ``packages`` are ``category/name``.
    """

    name: str
    description: str = ""
    rules: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class MaskFile:
    """A file of masks: Gentoo atoms, which may end in ``::repository``. One that is not enabled says nothing."""

    description: str
    enabled: bool
    rules: tuple[str, ...]
    file: str = ""


@dataclasses.dataclass(frozen=True)
class ClientConfig:
    """All that the client was told.

    ``database_path`` is the folder for state, in the root; ``packages_cache`` that of downloaded packages. The
    ``…_dirs`` are the folders from which the rest was read. ``config_protect`` are folders (``/etc``) in which changed
    files are kept. ``timeout`` is in seconds. ``family`` is ``luet`` or ``anise``. ``platform`` is the root's; empty: a
    new root, which becomes one of the platform that the first package tells.
    """

    rootfs: Path
    database_path: Path
    packages_cache: Path
    tmpdir: Path
    family: str = "luet"
    platform: str = ""
    file: Path | None = None
    config_from_host: bool = True
    engine: str = "boltdb"
    repositories: tuple[RepositoryConfig, ...] = ()
    repository_dirs: tuple[Path, ...] = ()
    subsets_enabled: tuple[str, ...] = ()
    subsets_definitions: tuple[SubsetDefinition, ...] = ()
    subsets_dirs: tuple[Path, ...] = ()
    config_protect: tuple[str, ...] = ()
    skip_config_protect: bool = False
    masks: tuple[MaskFile, ...] = ()
    finalizer_envs: tuple[tuple[str, str], ...] = ()
    concurrency: int = 1
    multifetch: int = 2
    timeout: float = 3600.0
    insecure: bool = False
    same_owner: bool = True
    overwrite_dir_perms: bool = False
    debug: bool = False
    lock: bool = True
    assume_yes: bool = False
    document: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def database_file(self) -> Path:
        """Where the installed packages are registered (``:memory:`` for the engine of that name)."""
        from farm.client.database import FILE

        return Path(":memory:") if self.engine == "memory" else self.database_path / FILE

    @property
    def repositories_path(self) -> Path:
        """The folder of the synced repositories."""
        return self.database_path / "repos"

    @property
    def lock_file(self) -> Path:
        """Locked by whoever changes the root."""
        return self.rootfs / "var" / "lock" / f"{self.family}.lock"

    @property
    def enabled_repositories(self) -> tuple[RepositoryConfig, ...]:
        """Those that are used, the first in priority first."""
        return tuple(sorted((one for one in self.repositories if one.enable), key=lambda one: one.priority))

    def repository(self, name: str) -> RepositoryConfig:
        """The repository of that name. FarmError ``unknown-repository``."""
        for one in self.repositories:
            if one.name == name:
                return one
        import difflib

        near = difflib.get_close_matches(name, [one.name for one in self.repositories], n=1)
        hint = f"did you mean {near[0]}?" if near else "see `farm anise repo list`"
        raise error("unknown-repository", f"there is no repository {name!r}", hint=hint)


def read_config(
    path: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> ClientConfig:
    """The configuration: of the file at ``path``, or the one that is found, and of the folders it names.

    ``flags`` are those of the command line under their names with ``_`` (``system_target``, ``concurrency``, …); None
    and False are flags not given. FarmError with all that is wrong: ``unreadable-config``, ``bad-config``.
    """
    from farm.client.configfile import Document, find_file, read_document

    file = path if path is not None else find_file(environ)
    problems: list[Problem] = []
    family = "anise" if file is not None and "anise" in file.name else "luet"
    document = Document(read_document(file, problems) if file else {}, family, flags or {}, environ, problems)
    config = _read(document, file)
    if problems:
        raise FarmError(problems)
    return config


def _read(document: Any, file: Path | None) -> ClientConfig:
    from farm.client import configfolders as folders

    rootfs = Path(document.text("system.rootfs")).absolute()
    from_host = document.flag("config_from_host")
    database = rootfs / document.text("system.database_path").lstrip("/")
    places = folders.Folders(document, rootfs, from_host)
    return ClientConfig(
        rootfs=rootfs,
        database_path=database,
        packages_cache=database / document.text("system.pkgs_cache_path"),
        tmpdir=Path(document.text("system.tmpdir_base")).absolute(),
        family=document.family,
        platform=_platform(document, rootfs),
        file=file,
        config_from_host=from_host,
        engine=document.text("system.database_engine"),
        repositories=places.repositories(),
        repository_dirs=places.of("repos_confdir"),
        subsets_enabled=places.subsets_enabled(),
        subsets_definitions=places.subsets_definitions(),
        subsets_dirs=places.of("subsets_confdir"),
        config_protect=places.config_protect(),
        skip_config_protect=document.flag("config_protect_skip"),
        masks=places.masks(),
        finalizer_envs=document.finalizer_envs(),
        concurrency=max(1, document.number("general.concurrency")),
        multifetch=max(1, document.number("general.client_multifetch")),
        timeout=_timeout(document),
        insecure=document.variable("INSECURE") == "1",
        same_owner=document.flag("general.same_owner"),
        overwrite_dir_perms=document.flag("general.overwrite_dir_perms"),
        debug=document.flag("general.debug"),
        lock=not document.switch("NOLOCK"),
        assume_yes=document.switch("YES"),
        document=document.resolved(),
    )


def _platform(document: Any, rootfs: Path) -> str:
    """``system.platform``, which only the farm's client knows; else that of the root's shell, else this host's."""
    from farm.runner.machine import shell_platform
    from farm.spec.platform import MACHINES, host_platform

    written = document.value("system.platform")
    if written and written not in (*MACHINES, host_platform()):
        hint = f"known: {', '.join(MACHINES)}"
        document.problems.append(Problem("bad-platform", f"system.platform is {written!r}", hint=hint))
    if written:
        return str(written)
    return (shell_platform([rootfs]) if rootfs.is_dir() else None) or host_platform()


def _timeout(document: Any) -> float:
    """Seconds for one file: ``HTTP_TIMEOUT``, or ``general.client_timeout``."""
    written = document.variable("HTTP_TIMEOUT")
    return float(written if written.isdigit() else document.number("general.client_timeout"))
