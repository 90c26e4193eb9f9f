# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a root file system out of packages: as a folder, a tarball, an OCI layout or a Docker image.

The root knows what is installed in it (``var/cache/luet``), so that a client in it can go on from there. The same
packages give the same bytes: what was made while it was put together (the client's state, files that finalizers
wrote) has a fixed time. What finalizers write has to be the same by itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from farm.client.config import ClientConfig, RepositoryConfig, SubsetDefinition
from farm.client.database import Database
from farm.client.fetch import forget_packages
from farm.client.image import write_archive, write_docker, write_layout
from farm.client.progress import Report, nobody
from farm.client.repositories import open_catalog, purge, sync
from farm.client.solve import plan_install
from farm.client.transaction.apply import Options, Result, apply
from farm.client.transaction.lock import transaction_lock
from farm.runner.machine import shell_platform
from farm.spec.platform import host_platform
from farm.spec.problem import error
from farm.store.compress import Compression
from farm.store.removal import remove_tree

FAMILY = "luet"
_STATE = "var/cache/luet"
_COMPRESSION: dict[str, Compression] = {".tar": "none", ".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd"}
_IMAGE = re.compile(r"(docker|oci):(.+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """What a root is made of.

    ``wagons`` are folders or URLs, the first goes before the others; ``key`` is the minisign key that all of them are
    signed with. ``packages`` are targets (``category/name[@selector]``), ``subsets`` the enabled ones. ``cache`` is
    where downloaded packages are kept for the next time. ``platform``: what packages have to be for (empty: the same as
    the first that tells it).
    """

    wagons: Sequence[str]
    packages: Sequence[str]
    subsets: Sequence[str] = ()
    definitions: Sequence[SubsetDefinition] = ()
    finalizer_envs: Sequence[tuple[str, str]] = ()
    finalizers: bool = True
    key: str = ""
    cache: Path | None = None
    platform: str = ""


def create_rootfs(
    wanted: Wanted, target: str, *, report: Report = nobody, cancel: threading.Event | None = None
) -> Result:
    """Makes ``target``: a folder, ``FILE.tar[.gz|.zst]``, ``oci:FOLDER[:TAG]`` or ``docker:NAME[:TAG]``.

    A folder has to be empty or not there. FarmError ``not-empty``, ``bad-target``, and those of syncing, solving,
    `apply` and Docker; then nothing is left.
    """
    if match := _IMAGE.fullmatch(target):
        with _scratch(Path(tempfile.gettempdir())) as root:
            begun = _clock(root)
            result, platform = fill(root, wanted, report, cancel)
            if match[1] == "docker":
                write_docker(root, match[2], begun)
            else:
                write_layout(root, match[2], begun, platform)
        return result
    path = Path(target).absolute()
    compression = next((kind for end, kind in _COMPRESSION.items() if path.name.endswith(end)), None)
    if compression is None:
        return _folder(path, wanted, report, cancel)
    with _scratch(_parent(path)) as root:
        begun = _clock(root)
        result, _ = fill(root, wanted, report, cancel)
        write_archive(root, path, compression, begun)
    return result


def fill(root: Path, wanted: Wanted, report: Report, cancel: threading.Event | None) -> tuple[Result, str]:
    """Installs into the empty folder ``root``, as one transaction. Its platform: as packages or its shell tell."""
    config = configuration(root, wanted)
    for repository in config.enabled_repositories:
        sync(config, repository, cancel=cancel)
    options = Options(finalizers=wanted.finalizers, durable=False)
    with Database(config.database_file) as database:
        catalog = open_catalog(config)
        change = plan_install(catalog, database, wanted.packages)
        result = apply(change, config, database, options=options, report=report, cancel=cancel)
    _forget(config, wanted)
    return result, catalog.platform or shell_platform([root]) or host_platform()


def configuration(root: Path, wanted: Wanted) -> ClientConfig:
    """A client's configuration for ``root`` that depends on nothing of the host."""
    state = root / _STATE
    return ClientConfig(
        root,
        state,
        wanted.cache.absolute() if wanted.cache else state / "packages",
        Path(tempfile.gettempdir()),
        family=FAMILY,
        platform=wanted.platform,
        repositories=tuple(_repository(n, wagon, wanted.key) for n, wagon in enumerate(wanted.wagons)),
        subsets_enabled=tuple(wanted.subsets),
        subsets_definitions=tuple(wanted.definitions),
        finalizer_envs=tuple(wanted.finalizer_envs),
        multifetch=4,
    )


def _repository(number: int, wagon: str, key: str) -> RepositoryConfig:
    scheme = wagon.partition(":")[0]
    kind = {"http": "http", "https": "http", "docker": "docker", "oci": "docker"}.get(scheme, "disk")
    url = str(Path(wagon.removeprefix("file://")).absolute()) if kind == "disk" else wagon
    return RepositoryConfig(f"wagon-{number + 1}", type=kind, enable=True, priority=number, urls=(url,), key=key)


def _forget(config: ClientConfig, wanted: Wanted) -> None:
    """Removes what only the making needed."""
    purge(config)
    if wanted.cache is None:
        forget_packages(config)
        for folder in (config.packages_cache / "sha256", config.packages_cache):
            folder.rmdir()
    config.repositories_path.rmdir()
    transaction_lock(config).unlink()
    config.lock_file.unlink()


def _folder(path: Path, wanted: Wanted, report: Report, cancel: threading.Event | None) -> Result:
    """The root is made beside its place, and gets its name when it is whole."""
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise error("not-empty", f"{path} is no empty folder", hint="name a new folder, or FILE.tar.zst")
    with _scratch(_parent(path)) as root:
        result, _ = fill(root, wanted, report, cancel)
        root.chmod(0o755)
        root.replace(path)
        root.mkdir()
    return result


def _parent(path: Path) -> Path:
    if not path.parent.is_dir():
        raise error("bad-target", f"there is no folder {path.parent} for {path.name}")
    return path.parent


def _clock(root: Path) -> float:
    """When a folder was made, by its file system's clock: the kernel's for files, which is some milliseconds late."""
    return root.stat().st_mtime


@contextlib.contextmanager
def _scratch(where: Path) -> Iterator[Path]:
    """A new folder that is gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix=".farm-rootfs-", dir=where))
    try:
        yield root
    finally:
        remove_tree(root)
