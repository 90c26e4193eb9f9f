# SPDX-License-Identifier: GPL-3.0-or-later
"""A small spec tree, packages for it, and the wagon made of both."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

from farm.spec.load import load
from farm.wagon.create import Created, Request, create_wagon
from farm.wagon.reading import Wagon, open_wagon
from farm.wagon.serve import WagonServer


@dataclasses.dataclass(frozen=True)
class Workshop:
    """Folders below ``root``: ``tree``, ``packages`` and ``wagon``."""

    root: Path

    @property
    def tree(self) -> Path:
        return self.root / "tree"

    @property
    def packages(self) -> Path:
        return self.root / "packages"

    @property
    def output(self) -> Path:
        return self.root / "wagon"

    def define(self, name: str, version: str = "1.0", *, finalizer: str | None = None, **keys: Any) -> Path:
        """Writes a package's definition."""
        category, _, short = name.partition("/")
        folder = self.tree / category / f"{short}-{version}"
        folder.mkdir(parents=True, exist_ok=True)
        definition = {"category": category, "name": short, "version": version, **keys}
        (folder / "definition.yaml").write_text(json.dumps(definition))
        if finalizer is not None:
            (folder / "finalize.yaml").write_text(finalizer)
        return folder

    def build(self, name: str, version: str = "1.0", files: dict[str, str] | None = None) -> Path:
        """Writes a package's tarball, without metadata."""
        category, _, short = name.partition("/")
        self.packages.mkdir(exist_ok=True)
        path = self.packages / f"{short}-{category}-{version}.package.tar.zst"
        path.write_bytes(tarball(files or {f"usr/bin/{short}": version}))
        return path

    def both(self, name: str, version: str = "1.0", **keys: Any) -> Path:
        """Defines a package and makes its tarball."""
        self.define(name, version, **keys)
        return self.build(name, version)

    def create(self, **options: Any) -> Created:
        """Makes the wagon, or its next revision."""
        options = {"name": "test", "packages": self.packages, "output": self.output, **options}
        return create_wagon(Request(load([self.tree]), **options))

    def wagon(self) -> Wagon:
        """The wagon as clients read it."""
        return open_wagon(self.output)


def tarball(files: dict[str, str]) -> bytes:
    """A package's tarball: files in the order given."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text.encode())
            entry.mode = 0o755 if "bin/" in path else 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    return zstandard.ZstdCompressor().compress(out.getvalue())


def tree_file(files: dict[str, bytes]) -> bytes:
    """A wagon's tree with these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return zstandard.ZstdCompressor().compress(out.getvalue())


def repository_yaml(tree: bytes, **keys: Any) -> bytes:
    """A repository.yaml that names ``tree`` as its tree."""
    file = {"filename": "tree.tar.zst", "compressiontype": "zstd", "checksums": {"sha256": digest(tree)}}
    data = {"name": "hostile", "urls": [], "type": "http", "revision": 1, "last_update": "1", **keys}
    return json.dumps({"repo_files": {"treev2": file}, **data}).encode()


def parse(files: dict[str, bytes]) -> Wagon:
    """Reads a wagon whose tree has these files."""
    tree = tree_file(files)
    return Wagon.parse(repository_yaml(tree), lambda name: io.BytesIO(tree))


def digest(content: bytes) -> str:
    """sha256 in hex."""
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[WagonServer]:
    """Serves a wagon while inside."""
    with WagonServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            thread.join()


def metadata_json(name: str = "lib/greet", version: str = "1.0", **keys: Any) -> bytes:
    """A small, good metadata.json; ``keys`` replace its keys."""
    category, _, short = name.partition("/")
    data = {
        "path": f"{short}-{category}-{version}.package.tar.zst",
        "checksums": {"sha256": "0" * 64},
        "compressiontype": "zstd",
        "files": ["usr/bin/greet"],
        "runtime": {"name": short, "category": category, "version": version},
        **keys,
    }
    return json.dumps(data).encode()


def entry_files(**keys: Any) -> dict[str, bytes]:
    """The files of one package in a tree."""
    definition = b'{"name": "greet", "category": "lib", "version": "1.0"}'
    return {"lib/greet/1.0/definition.yaml": definition, "lib/greet/1.0/metadata.json": metadata_json(**keys)}
