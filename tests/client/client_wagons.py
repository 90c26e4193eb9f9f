# SPDX-License-Identifier: GPL-3.0-or-later
"""Wagons and installed packages out of one line of text each, for tests of the client.

``a/x-1.0 needs a/y@>=1 conflicts a/z gives virtual/v@1`` is a package.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import io
import socketserver
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard

from farm.client.catalog import Catalog
from farm.client.config import MaskFile, RepositoryConfig
from farm.client.database import Database, Installed
from farm.client.masks import Masks
from farm.spec.model import PackageId
from farm.wagon.metadata import Metadata
from farm.wagon.reading import Entry, Wagon
from farm.wagon.repository import RepoFile, Repository

_KEYS = {"needs": "requires", "conflicts": "conflicts", "gives": "provides"}


def runtime(line: str) -> dict[str, Any]:
    """The definition that a line describes."""
    name, *words = line.split()
    atom, _, version = name.rpartition("-")
    category, _, own = atom.partition("/")
    found: dict[str, Any] = {"name": own, "category": category, "version": version}
    key = ""
    for word in words:
        if word in _KEYS:
            key = _KEYS[word]
            continue
        other, _, selector = word.partition("@")
        other_category, _, other_name = other.partition("/")
        found.setdefault(key, []).append({"name": other_name, "category": other_category, "version": selector})
    return found


def metadata(line: str, files: Sequence[str] = (), **more: Any) -> Metadata:
    """What a wagon says of it."""
    about = {**runtime(line), **more}
    fingerprint = f"{about['name']}-{about['category']}-{about['version']}"
    digest = hashlib.sha256(line.encode()).hexdigest()
    return Metadata(f"{fingerprint}.package.tar.zst", {"sha256": digest}, "zstd", tuple(files), about)


def entry(line: str, files: Sequence[str] = (), **more: Any) -> Entry:
    """The package in a wagon."""
    about = metadata(line, files, **more)
    text = "".join(f'{key}: "{about.runtime[key]}"\n' for key in ("name", "category", "version"))
    return Entry(about, text.encode())


def installed(line: str, files: Sequence[str] = (), *, requested: bool = True, repository: str = "main") -> Installed:
    """The package in a root."""
    about = runtime(line)
    package = PackageId(about["category"], about["name"], about["version"])
    return Installed(package, repository, about, tuple(files), requested=requested)


def catalog(
    *lines: str, masks: Sequence[str] = (), others: Mapping[str, tuple[int, Sequence[str]]] | None = None
) -> Catalog:
    """A repository ``main`` of priority 50 with these packages, and ``others``: name → priority and packages."""
    opened = []
    for name, (priority, those) in {"main": (50, lines), **(others or {})}.items():
        packages = {one.id: one for one in map(entry, those)}
        opened.append((RepositoryConfig(name, priority=priority, enable=True), Wagon(Repository(name), packages)))
    return Catalog.of(opened, Masks([MaskFile("", True, tuple(masks))]))


@contextlib.contextmanager
def database_of(path: Path, *lines: str) -> Iterator[Database]:
    """A database with these packages and what is there; nobody asked for those that begin with ``auto``."""
    path.mkdir(exist_ok=True)
    with Database(path / "anise.sqlite") as database:
        with database.transaction():
            for line in lines:
                database.add(installed(line.removeprefix("auto "), requested=not line.startswith("auto ")))
        yield database


def publish(folder: Path, revision: int, entries: Sequence[Entry], *, compress: bool = True) -> bytes:
    """Writes a wagon without tarballs; gives its repository.yaml. The tree's name has the revision in it."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for one in entries:
            where = f"{one.id.category}/{one.id.name}/{one.id.version}"
            for name, content in (("definition.yaml", one.definition_text), ("metadata.json", one.metadata.to_json())):
                member = tarfile.TarInfo(f"{where}/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    content = zstandard.compress(raw.getvalue()) if compress else raw.getvalue()
    name = f"tree-{revision}.tar.zst"
    (folder / name).write_bytes(content)
    files = {"treev2": RepoFile(name, hashlib.sha256(content).hexdigest())}
    text = Repository("main", revision=revision, last_update=str(revision), repo_files=files).to_yaml()
    new = folder / ".repository.yaml"
    new.write_bytes(text)
    new.replace(folder / "repository.yaml")
    return text


@dataclasses.dataclass
class Server:
    """A web server on this host that counts what is asked for, and fails when it is told to."""

    url: str
    asked: list[str] = dataclasses.field(default_factory=list)
    headers: list[Mapping[str, str]] = dataclasses.field(default_factory=list)
    failures: list[int] = dataclasses.field(default_factory=list)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Server]:
    """Serves a folder. Each number in ``failures`` is the status of one answer."""
    server = Server("")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            server.headers.append(dict(self.headers))
            if server.failures:
                self.send_error(server.failures.pop(0))
            else:
                super().do_GET()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))) as tcp:
        tcp.daemon_threads = True
        server.url = f"http://127.0.0.1:{tcp.server_address[1]}"
        thread = threading.Thread(target=tcp.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            tcp.shutdown()
            thread.join()
