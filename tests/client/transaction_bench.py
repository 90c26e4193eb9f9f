# SPDX-License-Identifier: GPL-3.0-or-later
"""A root, a folder of packages made by Python's own tar, and what a root looks like afterwards."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from farm.client.change import Candidate, Change
from farm.client.config import ClientConfig, RepositoryConfig
from farm.client.database import Database, Installed
from farm.client.progress import Progress
from farm.client.transaction.apply import Options, Result, apply
from farm.spec.model import PackageId
from farm.store.compress import Compression, compressor
from farm.wagon.metadata import COMPRESSIONS, Metadata
from farm.wagon.reading import Entry

TIME = 1_000_000_000


@dataclasses.dataclass
class Item:
    """One member of a tarball. ``type`` as tarfile has it."""

    path: str
    data: bytes = b""
    type: bytes = tarfile.REGTYPE
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    link: str = ""
    mtime: int = TIME
    device: tuple[int, int] = (0, 0)
    pax: dict[str, str] = dataclasses.field(default_factory=dict)

    def info(self) -> tarfile.TarInfo:
        info = tarfile.TarInfo(self.path)
        info.type, info.mode, info.uid, info.gid = self.type, self.mode, self.uid, self.gid
        info.linkname, info.mtime, info.size = self.link, self.mtime, len(self.data)
        info.devmajor, info.devminor = self.device
        info.pax_headers = self.pax
        return info


def folder(path: str, mode: int = 0o755, **more: Any) -> Item:
    return Item(path, type=tarfile.DIRTYPE, mode=mode, **more)


def link(path: str, target: str) -> Item:
    return Item(path, type=tarfile.SYMTYPE, link=target, mode=0o777)


def hard(path: str, target: str) -> Item:
    return Item(path, type=tarfile.LNKTYPE, link=target)


def tarball(items: Sequence[Item], compression: Compression = "zstd") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for item in items:
            tar.addfile(item.info(), io.BytesIO(item.data))
    packer = compressor(compression)
    return packer.compress(out.getvalue()) + packer.flush()


class Bench:
    """Packages in ``wagon``, a root, its database. Everything told while working is in ``told``."""

    def __init__(self, path: Path, **config: Any) -> None:
        self.wagon = path / "wagon"
        self.wagon.mkdir(exist_ok=True)
        self.root = path / "root"
        self.root.mkdir(exist_ok=True)
        self.repository = RepositoryConfig("test", type="disk", enable=True, urls=(str(self.wagon),))
        state = self.root / "var/cache/luet"
        self.config = ClientConfig(self.root, state, state / "packages", path / "tmp", **config)
        self.database = Database(self.config.database_file)
        self.told: list[Progress] = []
        self.before: Callable[[], None] = lambda: None

    def close(self) -> None:
        self.database.close()

    def package(
        self,
        name: str,
        items: Sequence[Item] | Mapping[str, str],
        version: str = "1.0",
        *,
        runtime: Mapping[str, Any] | None = None,
        finalizer: Mapping[str, Any] | None = None,
        compression: Compression = "zstd",
        farm: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        files: Sequence[str] | None = None,
    ) -> Candidate:
        if isinstance(items, Mapping):
            items = [Item(path, data.encode()) for path, data in items.items()]
        content = content if content is not None else tarball(items, compression)
        identity = {"name": name, "category": "test", "version": version}
        path = f"{name}-test-{version}.package.tar{COMPRESSIONS[compression]}"
        (self.wagon / path).write_bytes(content)
        metadata = Metadata(
            path,
            {"sha256": hashlib.sha256(content).hexdigest()},
            compression,
            tuple(files if files is not None else [item.path for item in items if item.type != tarfile.DIRTYPE]),
            {**identity, **(runtime or {})},
            farm=dict(farm or {}),
        )
        script = yaml.safe_dump(dict(finalizer)).encode() if finalizer else None
        entry = Entry(metadata, yaml.safe_dump(identity).encode(), script)
        return Candidate(PackageId("test", name, version), self.repository, entry)

    def install(self, *packages: Candidate, **options: Any) -> Result:
        requested = frozenset(one.id for one in packages)
        return self.apply(Change(install=packages, order=tuple(p.id for p in packages), requested=requested), **options)

    def upgrade(self, *pairs: Candidate, **options: Any) -> Result:
        """Each package takes the place of what is installed of that name."""
        old = {one.id.atom: one for one in self.database.installed()}
        replace = tuple((old[one.id.atom], one) for one in pairs)
        return self.apply(Change(replace=replace, order=tuple(p.id for p in pairs)), **options)

    def remove(self, *names: str, **options: Any) -> Result:
        gone = tuple(one for one in self.database.installed() if one.id.name in names)
        return self.apply(Change(remove=gone), **options)

    def apply(self, change: Change, **options: Any) -> Result:
        """Carries out the change; ``before`` is called when all is ready for it."""
        self.before()
        return apply(change, self.config, self.database, options=Options(**options), report=self.told.append)

    def names(self) -> list[str]:
        return [one.id.name for one in self.database.installed(files=False)]

    def get(self, name: str) -> Installed:
        return next(one for one in self.database.installed() if one.id.name == name)

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def tree(self) -> dict[str, tuple[Any, ...]]:
        return tree(self.root)


def tree(root: Path) -> dict[str, tuple[Any, ...]]:
    """All below a root but the client's own: kind and mode, owner, content or link."""
    found: dict[str, tuple[Any, ...]] = {}
    for folder, folders, files in os.walk(root):
        base = Path(folder)
        if base == root / "var":
            folders[:] = [name for name in folders if name not in ("cache", "lock")]
        for name in (*folders, *files):
            path = base / name
            info = path.lstat()
            content: Any = None
            if stat.S_ISREG(info.st_mode):
                content = path.read_bytes()
            elif stat.S_ISLNK(info.st_mode):
                content = str(path.readlink())
            found[str(path.relative_to(root))] = (oct(info.st_mode), info.st_uid, info.st_gid, content)
    return found
