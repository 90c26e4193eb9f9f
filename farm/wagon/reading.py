# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads wagons: what packages one offers, verified against the digests in its ``repository.yaml``.

Nothing of a wagon is trusted: names that leave their place, wrong types, wrong digests and archives that unpack to
more than any wagon needs are refused. Whether ``repository.yaml`` itself is to be trusted is what a signature tells
(farm/store/signature.py).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from farm.spec.document import Source, render_document
from farm.spec.model import PackageId
from farm.spec.problem import FarmError, Place, Problem, error
from farm.spec.schema import valid
from farm.spec.values import template_values
from farm.spec.yamltext import TEXT, decode, parse
from farm.store.archive import Readable, decompressed
from farm.store.entry import FILE
from farm.store.tarreader import TarReader
from farm.wagon.metadata import Metadata, read_metadata
from farm.wagon.quickyaml import PACKAGE
from farm.wagon.repository import RepoFile, Repository, read_repository

OpenFile = Callable[[str], BinaryIO]
"""Opens a file of the wagon by its name in the wagon's folder; raises OSError or FarmError when it cannot."""

MAX_FILE = 64 << 20
MAX_TOTAL = 1 << 30
MAX_ENTRIES = 1_000_000
"""Limits of a tree: bytes of one file in it, of all files, and their number."""

_CHUNK = 1 << 18
_FINALIZER: Any = {key: [TEXT] for key in ("shell", "install", "uninstall")}


class Entry:
    """One package of a wagon: its metadata, its definition as data, and what runs at installation and removal."""

    def __init__(self, metadata: Metadata, definition: bytes, finalizer: bytes | None = None) -> None:
        self.metadata = metadata
        self.definition_text = definition
        self.finalizer_text = finalizer

    @property
    def id(self) -> PackageId:
        """Who it is."""
        return self.metadata.id

    @functools.cached_property
    def definition(self) -> dict[str, Any]:
        """definition.yaml as data. FarmError when it is none, or that of another package."""
        name = f"{self.id}: definition.yaml"
        data = _yaml(self.definition_text, name, PACKAGE)
        if not isinstance(data, dict) or {key: data.get(key) for key in ("category", "name", "version")} != {
            key: self.metadata.runtime[key] for key in ("category", "name", "version")
        }:
            raise error("bad-wagon", "it is not the definition of this package", place=Place(name))
        return data

    @functools.cached_property
    def finalizer(self) -> dict[str, Any] | None:
        """finalize.yaml rendered with the package's own keys: ``shell``, ``install``, ``uninstall``.

        None when there is none. FarmError when it cannot be rendered or has the wrong form.
        """
        if self.finalizer_text is None:
            return None
        name = f"{self.id}: finalize.yaml"
        text, problems = decode(self.finalizer_text, name)
        if problems:
            raise FarmError(problems)
        rendered = render_document(Source(name, text), template_values(self.definition, {}), (), _FINALIZER)
        wrong = [problem for problem in rendered.problems if problem.severity == "error"]
        if wrong:
            raise FarmError(wrong)
        if not valid("finalize", rendered.data):
            raise error("bad-finalizer", "it has keys or types that no finalizer has", place=Place(name))
        data: dict[str, Any] = rendered.data
        return data


@dataclasses.dataclass(frozen=True)
class Wagon:
    """A wagon as it was at one revision. ``provides``: ``category/name`` → the packages that provide it."""

    repository: Repository
    packages: dict[PackageId, Entry]
    provides: dict[str, tuple[PackageId, ...]] = dataclasses.field(default_factory=dict)

    @classmethod
    def parse(cls, repository_yaml: bytes, open_file: OpenFile) -> Wagon:
        """Reads the wagon that ``repository.yaml`` describes, of either layout.

        FarmError: ``bad-repository``; ``wagon-file-missing``; ``wagon-digest-mismatch``; ``bad-archive`` for what is
        no archive; ``wagon-too-large``; ``bad-metadata``, ``bad-wagon``.
        """
        repository = read_repository(repository_yaml)
        files = repository.repo_files
        if "treev2" in files:
            packages = _packages(read_tar(files["treev2"], open_file))
        elif "tree" in files and "meta" in files:
            from farm.wagon.oldlayout import read_old

            packages = read_old(files["tree"], files["meta"], open_file)
        else:
            hint = "a wagon has repo_files.treev2, or in the old layout tree and meta"
            raise error("bad-repository", "it names no tree", hint=hint)
        return cls(repository, packages, _provides(packages))


def open_wagon(folder: Path) -> Wagon:
    """The wagon in a folder of this host. FarmError as `Wagon.parse`, ``no-wagon``."""
    try:
        content = (folder / "repository.yaml").read_bytes()
    except OSError as problem:
        hint = "name a folder that has a repository.yaml"
        raise error("no-wagon", f"no wagon in {folder}: {problem.strerror}", hint=hint) from problem
    return Wagon.parse(content, lambda name: open(folder / name, "rb"))


@dataclasses.dataclass(frozen=True, slots=True)
class Published:
    """Under which file name, and with which bytes, a wagon offers a package; and the files beside it."""

    path: str
    sha256: str
    beside: Mapping[str, str]


def read_index(repository: Repository, open_file: OpenFile) -> dict[PackageId, Published]:
    """Names and digests of all packages, in little memory. FarmError as `Wagon.parse`."""
    if "treev2" not in repository.repo_files:
        packages = Wagon.parse(repository.to_yaml(), open_file).packages
        return {id: _published(entry.metadata) for id, entry in packages.items()}
    index = {}
    for path, content in read_tar(repository.repo_files["treev2"], open_file):
        if path.endswith("/metadata.json"):
            metadata = read_metadata(content, path)
            index[metadata.id] = _published(metadata)
    return index


def _published(metadata: Metadata) -> Published:
    return Published(metadata.path, metadata.sha256, metadata.beside)


def read_tar(file: RepoFile, open_file: OpenFile) -> Iterator[tuple[str, bytes]]:
    """Path and content of each regular file of a tarball that repository.yaml names.

    The digest is verified before the first is given; what is needed for that is the compressed tarball in memory.
    """
    content = _verified(file, open_file)
    stream = decompressed(content[:8], _Bytes(content))
    total = 0
    try:
        reader = TarReader(_limited(stream))
        for count, entry in enumerate(reader):
            total += entry.size
            if count > MAX_ENTRIES or entry.size > MAX_FILE or total > MAX_TOTAL:
                raise error("wagon-too-large", f"{file.filename} holds more than any wagon needs")
            if entry.kind == FILE:
                yield _path(entry.path, file.filename), b"".join(reader.content())
    except (OSError, ValueError, EOFError) as problem:
        raise error("bad-archive", f"{file.filename} cannot be decompressed: {problem}") from problem


class _Bytes:
    """Bytes as a file, without a copy."""

    def __init__(self, content: bytes) -> None:
        self._rest = memoryview(content)

    def read(self, size: int = -1, /) -> bytes:
        size = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)


def _limited(stream: Readable) -> Iterator[bytes]:
    total = 0
    while data := _chunk(stream):
        total += len(data)
        if total > MAX_TOTAL + (MAX_ENTRIES << 9):
            raise error("wagon-too-large", "it unpacks to more than any wagon needs")
        yield data


def _chunk(stream: Readable) -> bytes:
    try:
        return stream.read(_CHUNK)
    except Exception as problem:
        raise error("bad-archive", f"it cannot be decompressed: {problem}") from problem


def _verified(file: RepoFile, open_file: OpenFile) -> bytes:
    try:
        with open_file(file.filename) as stream:
            content = stream.read(MAX_TOTAL + 1)
    except OSError as problem:
        raise error("wagon-file-missing", f"{file.filename} cannot be read: {problem}") from problem
    if len(content) > MAX_TOTAL:
        raise error("wagon-too-large", f"{file.filename} is larger than any wagon needs")
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        hint = "it is damaged, or repository.yaml is of another revision; sync again"
        message = f"sha256 of {file.filename} is {digest}, repository.yaml says {file.sha256}"
        raise FarmError(Problem("wagon-digest-mismatch", message, Place(file.filename), hint))
    return content


def _path(raw: bytes, filename: str) -> str:
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    try:
        path = b"/".join(parts).decode()
    except UnicodeDecodeError:
        path = ""
    if not path or b".." in parts or raw.startswith(b"/") or "\0" in path:
        raise error("bad-wagon", f"{filename} has an entry with the name {raw!r}")
    return path


def _packages(files: Iterator[tuple[str, bytes]]) -> dict[PackageId, Entry]:
    """Packages of ``<category>/<name>/<version>/…``; a folder without definition.yaml is ignored, as anise does."""
    folders: dict[str, dict[str, bytes]] = {}
    for path, content in files:
        folder, _, name = path.rpartition("/")
        if name in ("definition.yaml", "metadata.json", "finalize.yaml"):
            folders.setdefault(folder, {})[name] = content
    packages = {}
    for folder, found in folders.items():
        if "definition.yaml" in found and "metadata.json" in found:
            entry = _entry(folder, found)
            packages[entry.id] = entry
    return dict(sorted(packages.items()))


def _entry(folder: str, found: Mapping[str, bytes]) -> Entry:
    metadata = read_metadata(found["metadata.json"], f"{folder}/metadata.json")
    if f"{metadata.id.category}/{metadata.id.name}/{metadata.id.version}" != folder:
        raise error("bad-wagon", f"metadata of {metadata.id} is in the folder {folder}")
    return Entry(metadata, found["definition.yaml"], found.get("finalize.yaml"))


def _provides(packages: Mapping[PackageId, Entry]) -> dict[str, tuple[PackageId, ...]]:
    found: dict[str, list[PackageId]] = {}
    for id, entry in packages.items():
        for item in entry.metadata.runtime.get("provides") or ():
            if isinstance(item, dict):
                found.setdefault(f"{item.get('category')}/{item.get('name')}", []).append(id)
    return {atom: tuple(ids) for atom, ids in sorted(found.items())}


def _yaml(content: bytes, name: str, shape: Any) -> Any:
    text, problems = decode(content, name)
    parsed = parse(text, name, shape)
    problems += [problem for problem in parsed.problems if problem.severity == "error"]
    if problems:
        raise FarmError(problems)
    return parsed.data
