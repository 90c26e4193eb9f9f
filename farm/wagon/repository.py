# SPDX-License-Identifier: GPL-3.0-or-later
"""``repository.yaml``: the one file that says what a wagon is, and by digests what is in it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from farm.spec.problem import FarmError, Place, Problem
from farm.spec.yamltext import TEXT, Shape, decode, parse
from farm.wagon.metadata import COMPRESSIONS
from farm.wagon.plainyaml import dump

FILE = "repository.yaml"
MAX_BYTES = 1 << 20

_NAME = re.compile(r"[^./\0\n][^/\0\n]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHAPE: Shape = {
    **dict.fromkeys(("name", "description", "type", "last_update", "platform"), TEXT),
    "urls": [TEXT],
    "repo_files": {"*": {"filename": TEXT, "compressiontype": TEXT, "checksums": {"*": TEXT}}},
}


@dataclasses.dataclass(frozen=True, slots=True)
class RepoFile:
    """A file that repository.yaml names: its name in the wagon's folder, its compression, and its digest."""

    filename: str
    sha256: str
    compression: str = "zstd"


@dataclasses.dataclass(frozen=True, slots=True)
class Repository:
    """The content of ``repository.yaml``.

    ``last_update`` is text of seconds since 1970 as anise has it; in a wagon of ours it is no time (docs/wagons.md).
    ``repo_files`` keys: ``treev2``, ``compilertree``; of the old layout ``tree`` and ``meta``. ``platform``: what all
    packages are for; empty: it does not say. Other clients ignore it.
    """

    name: str
    description: str = ""
    urls: tuple[str, ...] = ()
    type: str = "http"
    priority: int = 9999
    enable: bool = True
    cached: bool = True
    revision: int = 1
    last_update: str = ""
    repo_files: Mapping[str, RepoFile] = dataclasses.field(default_factory=dict)
    platform: str = ""

    def to_yaml(self) -> bytes:
        """The file. The same content gives the same bytes."""
        data: dict[str, Any] = {"name": self.name}
        if self.description:
            data["description"] = self.description
        data |= {"urls": list(self.urls), "type": self.type, "priority": self.priority, "enable": self.enable}
        data |= {"cached": self.cached, "revision": self.revision, "last_update": self.last_update}
        data |= {"platform": self.platform} if self.platform else {}
        data["repo_files"] = {key: _file_document(self.repo_files[key]) for key in sorted(self.repo_files)}
        return dump(data).encode()

    def same_content(self, other: Repository) -> bool:
        """Whether both offer the same, whatever their revisions."""
        return dataclasses.replace(self, revision=0, last_update="") == dataclasses.replace(
            other, revision=0, last_update=""
        )


def read_repository(content: bytes, name: str = FILE) -> Repository:
    """The repository of a file's bytes. FarmError ``bad-repository`` with all that is wrong, or as YAML's."""
    if len(content) > MAX_BYTES:
        raise FarmError(Problem("bad-repository", f"larger than {MAX_BYTES >> 20} MiB", Place(name)))
    text, problems = decode(content, name)
    parsed = parse(text, name, _SHAPE)
    problems += [problem for problem in parsed.problems if problem.severity == "error"]
    if problems:
        raise FarmError(problems)
    reader = _Reader(parsed.data)
    repository = reader.repository()
    if reader.wrong:
        raise FarmError([Problem("bad-repository", message, Place(name)) for message in reader.wrong])
    return repository


def _file_document(file: RepoFile) -> dict[str, Any]:
    return {
        "filename": file.filename,
        "compressiontype": file.compression,
        "checksums": {"sha256": file.sha256},
    }


class _Reader:
    """Takes what has the right type, and remembers what has not."""

    def __init__(self, data: Any) -> None:
        self.wrong: list[str] = []
        self.data: dict[str, Any] = data if isinstance(data, dict) else {}
        if not isinstance(data, dict):
            self.wrong.append("not a mapping")

    def repository(self) -> Repository:
        """The repository; where something is wrong, a default stands for it."""
        urls = self.get("urls", list, [])
        if not all(isinstance(url, str) for url in urls):
            self.wrong.append("urls is not a list of text")
        if not self.get("name", str, ""):
            self.wrong.append("name is missing")
        return Repository(
            self.get("name", str, ""),
            self.get("description", str, ""),
            tuple(urls),
            self.get("type", str, ""),
            self.get("priority", int, 9999),
            self.get("enable", bool, True),
            self.get("cached", bool, True),
            self.get("revision", int, 0),
            self.get("last_update", str, ""),
            {key: self.file(key, value) for key, value in self.get("repo_files", dict, {}).items()},
            self.get("platform", str, ""),
        )

    def get(self, key: str, kind: type, default: Any) -> Any:
        """The value of a key, of the type it has to have."""
        value = self.data.get(key)
        if value is None:
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.wrong.append(f"{key} is no {kind.__name__}")
            return default
        return value

    def file(self, key: str, value: Any) -> RepoFile:
        """One of ``repo_files``."""
        data = value if isinstance(value, dict) else {}
        sums = data.get("checksums")
        digest = sums.get("sha256") if isinstance(sums, dict) else None
        filename, compression = data.get("filename"), data.get("compressiontype") or "none"
        if not isinstance(filename, str) or not _NAME.fullmatch(filename):
            self.wrong.append(f"repo_files.{key}.filename is no file name")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            self.wrong.append(f"repo_files.{key}.checksums.sha256 is not 64 lower-case hex digits")
        if compression not in COMPRESSIONS:
            self.wrong.append(f"repo_files.{key}.compressiontype is none of {', '.join(COMPRESSIONS)}")
        return RepoFile(str(filename), str(digest), str(compression))
