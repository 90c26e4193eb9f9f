# SPDX-License-Identifier: GPL-3.0-or-later
"""The folders of small files that a configuration names: repositories, subsets, protected folders, masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from farm.client.config import MaskFile, RepositoryConfig, SubsetDefinition
from farm.client.configfile import Document, read_document
from farm.spec.problem import Place, Problem

TYPES = {"http": "http", "disk": "disk", "dir": "disk", "docker": "docker", "oci": "docker"}
"""Types of repositories as they are written → what they are called here."""


class Folders:
    """Reads the folders of one configuration. What is wrong with a file is added to the document's problems."""

    def __init__(self, document: Document, rootfs: Path, from_host: bool) -> None:
        self._document = document
        self._problems = document.problems
        self._prefix = None if from_host else rootfs

    def of(self, key: str) -> tuple[Path, ...]:
        """The folders that a key names, on this host. They need not exist."""
        return tuple(self._located(written) for written in self._document.texts(key))

    def repositories(self) -> tuple[RepositoryConfig, ...]:
        """All repositories, of the document itself and of ``repos_confdir``; the first of a name holds."""
        written = self._document.data.get("repositories") or ()
        inline = [(item, "") for item in written if isinstance(item, Mapping)]
        found: dict[str, RepositoryConfig] = {}
        for data, file in (*inline, *self._documents("repos_confdir")):
            repository = self._repository(data, file)
            if repository is not None:
                found.setdefault(repository.name, repository)
        return tuple(found.values())

    def subsets_enabled(self) -> tuple[str, ...]:
        """Names of subsets, each once, in the order in which they are met."""
        subsets = self._document.data.get("subsets")
        names = _texts(subsets.get("enabled")) if isinstance(subsets, Mapping) else ()
        folders = [name for data, _ in self._documents("subsets_confdir") for name in _texts(data.get("enabled"))]
        return tuple(dict.fromkeys((*names, *folders)))

    def subsets_definitions(self) -> tuple[SubsetDefinition, ...]:
        """All local definitions; a later one of the same key takes the place of an earlier one."""
        found: dict[str, SubsetDefinition] = {}
        for data, _ in self._documents("subsets_defdir"):
            definitions = data.get("subsets_def")
            # The manual shows the entries beside an empty ``subsets_def:`` as well as below it.
            below = definitions if isinstance(definitions, Mapping) else {k: v for k, v in data.items() if v}
            for key, entry in below.items():
                if isinstance(entry, Mapping):
                    found[key] = _definition(key, entry)
        return tuple(found.values())

    def config_protect(self) -> tuple[str, ...]:
        """Folders of the root, absolute, in which changed files are kept."""
        found = [folder for data, _ in self._documents("config_protect_confdir") for folder in _texts(data.get("dirs"))]
        return tuple(dict.fromkeys(folder if folder.startswith("/") else f"/{folder}" for folder in found))

    def masks(self) -> tuple[MaskFile, ...]:
        """All files of masks."""
        return tuple(
            MaskFile(
                str(data.get("description") or ""), _true(data.get("enabled", True)), _texts(data.get("rules")), file
            )
            for data, file in self._documents("packages_maskdir")
        )

    def _documents(self, key: str) -> Iterator[tuple[Mapping[str, Any], str]]:
        for folder in self.of(key):
            files = sorted(path for path in folder.glob("*") if path.suffix in (".yml", ".yaml") and path.is_file())
            for path in files:
                yield read_document(path, self._problems), str(path)

    def _repository(self, data: Mapping[str, Any], file: str) -> RepositoryConfig | None:
        name, kind = str(data.get("name") or ""), str(data.get("type") or "")
        place = Place(file) if file else None
        if not name or "/" in name or name in (".", ".."):
            self._problems.append(Problem("bad-config", f"a repository cannot be called {name!r}", place))
            return None
        if kind not in TYPES:
            hint = "write http, disk or docker"
            self._problems.append(Problem("bad-config", f"repository {name} is of the type {kind!r}", place, hint))
            return None
        return self._made(name, TYPES[kind], data, file)

    def _made(self, name: str, kind: str, data: Mapping[str, Any], file: str) -> RepositoryConfig:
        urls = _texts(data.get("urls"))
        if kind == "disk":
            urls = tuple(str(self._located(url.removeprefix("file://"))) for url in urls)
        auth = data.get("auth")
        made = RepositoryConfig(
            name,
            str(data.get("description") or ""),
            kind,
            _true(data.get("enable", False)),
            _true(data.get("cached", True)),
            urls=urls,
            auth={str(k): str(v) for k, v in auth.items()} if isinstance(auth, Mapping) else {},
            verify=_true(data.get("verify", False)),
            key=str(data.get("key") or ""),
            file=file,
        )
        return self._with_priority(made, data.get("priority", 9999))

    def _with_priority(self, made: RepositoryConfig, written: object) -> RepositoryConfig:
        if isinstance(written, int) and not isinstance(written, bool):
            return dataclasses.replace(made, priority=written)
        place = Place(made.file) if made.file else None
        self._problems.append(Problem("bad-config", f"the priority of {made.name} is {written!r}", place))
        return made

    def _located(self, written: str) -> Path:
        if self._prefix is not None:
            return self._prefix / written.lstrip("/")
        return Path(written).absolute()


def _definition(key: str, entry: Mapping[str, Any]) -> SubsetDefinition:
    description = str(entry.get("descr") or entry.get("description") or "")
    rules, packages, categories = (_texts(entry.get(name)) for name in ("rules", "packages", "categories"))
    return SubsetDefinition(str(entry.get("name") or key), description, rules, packages, categories)


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _true(value: object) -> bool:
    return str(value).lower() in ("true", "1", "yes", "on")
