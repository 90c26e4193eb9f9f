# SPDX-License-Identifier: GPL-3.0-or-later
"""What a wagon says of one package: the content of ``<fingerprint>.metadata.yaml`` and of ``metadata.json``.

The format is anise's (luet's struct PackageArtifact). What the farm adds is below the one key ``farm``, which
other clients ignore; docs/wagons.md lists it.
"""

from __future__ import annotations

import dataclasses
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from farm.spec.model import PackageId
from farm.spec.problem import FarmError, Place, Problem, error
from farm.wagon.plainyaml import dump
from farm.wagon.quickyaml import read_quickly

COMPRESSIONS = {"none": "", "gzip": ".gz", "zstd": ".zst"}
"""Compression → what is added to the name of a tarball."""

SUFFIX = ".metadata.yaml"
MAX_BYTES = 64 << 20
"""More than any package's metadata needs."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[^/\0\n]+")
_IDENTITY = ("name", "version", "category")
_RELATIONS = ("requires", "conflicts", "provides")
_WORD = re.compile(r"(?!\.\.?$)[^/\s\0]+")
_OUTSIDE = re.compile(r"(?:^|\0)/|(?:^|[/\0])\.\.(?:$|[/\0])")


@dataclasses.dataclass(frozen=True, slots=True)
class Metadata:
    """A package as a wagon offers it.

    ``path`` is the tarball's file name; ``checksums`` has its ``sha256``; ``compression`` is none, gzip or zstd.
    ``files`` are its paths without leading slash, in the tarball's order, folders left out. ``runtime`` is the
    package's definition; ``compilespec`` has at least ``package``, or is empty. ``farm``: ``size`` of the tarball and
    ``installed_size`` in bytes, ``digests`` (path → sha256 of a regular file), ``modes`` (path → mode, in octal, of
    what is neither a link nor 0644 or 0755), ``key``, ``beside`` (file name → sha256 of the files published with it),
    ``platform`` that it was built for.
    """

    path: str
    checksums: dict[str, str]
    compression: str = "zstd"
    files: tuple[str, ...] = ()
    runtime: dict[str, Any] = dataclasses.field(default_factory=dict)
    compilespec: dict[str, Any] = dataclasses.field(default_factory=dict)
    farm: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def id(self) -> PackageId:
        """Who it is."""
        return PackageId(self.runtime["category"], self.runtime["name"], self.runtime["version"])

    @property
    def sha256(self) -> str:
        """The digest of the tarball's bytes."""
        return self.checksums["sha256"]

    @property
    def size(self) -> int | None:
        """Bytes of the tarball, if they are known."""
        size = self.farm.get("size")
        return size if isinstance(size, int) else None

    @property
    def platform(self) -> str:
        """The platform that it is for; empty: nobody said."""
        platform = self.farm.get("platform")
        return platform if isinstance(platform, str) else ""

    @property
    def beside(self) -> dict[str, str]:
        """Names and sha256 of the files that are published beside the tarball."""
        beside = self.farm.get("beside")
        return beside if isinstance(beside, dict) else {}

    @property
    def stem(self) -> str:
        """The tarball's name without ``.package.tar…``: what its companions' names begin with."""
        return self.path.partition(".package.tar")[0]

    def document(self) -> dict[str, Any]:
        """Plain data, with anise's keys; what is empty and not needed is left out."""
        data: dict[str, Any] = {"path": self.path, "checksums": self.checksums, "compressiontype": self.compression}
        if self.compilespec:
            data["compilespec"] = self.compilespec
        data |= {"files": list(self.files), "runtime": self.runtime}
        if self.farm:
            data["farm"] = self.farm
        return data

    def to_yaml(self) -> bytes:
        """The file ``<fingerprint>.metadata.yaml``. The same metadata gives the same bytes."""
        return dump(self.document()).encode()

    def to_json(self) -> bytes:
        """The file ``metadata.json`` of a wagon's tree."""
        return json.dumps(self.document(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def read_metadata(source: Path | bytes, name: str = "", *, brief: bool = False) -> Metadata:
    """Reads YAML or JSON of ours or of the Go tool's. FarmError ``bad-metadata`` (and what YAML says).

    ``name`` is what messages call it. ``brief``: without ``compilespec`` and digests, and no more of ``runtime``
    than who it is; much faster.
    """
    if isinstance(source, Path):
        name = name or str(source)
        source = _read(source)
    return metadata_from(read_quickly(source, name, brief=brief), name)


def metadata_from(data: Any, name: str) -> Metadata:
    """Metadata from plain data of any origin, checked. FarmError ``bad-metadata`` with all that is wrong."""
    if not isinstance(data, Mapping):
        raise error("bad-metadata", "not a mapping", place=Place(name))
    wrong: list[str] = []
    path = posixpath.basename(_text(data, "path", wrong))
    if not _NAME.fullmatch(path) or path in (".", ".."):
        wrong.append("path is no file name")
    digest = _mapping(data, "checksums", wrong).get("sha256")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        wrong.append("checksums.sha256 is not 64 lower-case hex digits")
    compression = _text(data, "compressiontype", wrong) or compression_of(path)
    if compression not in COMPRESSIONS:
        wrong.append(f"compressiontype {compression!r} is none of {', '.join(COMPRESSIONS)}")
    files = data.get("files") or ()
    if not isinstance(files, (list, tuple)) or not all(item.__class__ is str for item in files):
        wrong.append("files is not a list of text")
    elif _leaves_root(files):
        wrong.append("files has a path that leaves the root")
    runtime = _mapping(data, "runtime", wrong) or _mapping(_mapping(data, "compilespec", wrong), "package", wrong)
    compilespec, farm = _mapping(data, "compilespec", wrong), _mapping(data, "farm", wrong)
    _check_definition(runtime, wrong)
    _check_ours(farm, wrong)
    if wrong:
        raise FarmError([Problem("bad-metadata", message, Place(name)) for message in wrong])
    return Metadata(path, {"sha256": str(digest)}, compression, tuple(files), runtime, compilespec, farm)


def _leaves_root(files: Iterable[str]) -> bool:
    text = "\0".join(files)
    return ("/" in (text[:1], text[-1:]) or "\0/" in text or ".." in text) and _OUTSIDE.search(text) is not None


def _check_definition(runtime: Mapping[str, Any], wrong: list[str]) -> None:
    for key in _IDENTITY:
        if not isinstance(runtime.get(key), str) or not _WORD.fullmatch(runtime[key]):
            wrong.append(f"runtime.{key} is missing, or no name")
    for key in _RELATIONS:
        items = runtime.get(key) or ()
        if not isinstance(items, (list, tuple)) or not all(map(_is_requirement, items)):
            wrong.append(f"runtime.{key} is not a list of packages")


def _check_ours(farm: Mapping[str, Any], wrong: list[str]) -> None:
    for key in ("digests", "modes", "beside"):
        if not all(isinstance(value, str) for value in _mapping(farm, key, wrong).values()):
            wrong.append(f"farm.{key} has a value that is no text")
    if not isinstance(farm.get("platform", ""), str):
        wrong.append("farm.platform is no text")
    for key in ("size", "installed_size"):
        if not isinstance(farm.get(key, 0), int):
            wrong.append(f"farm.{key} is no number")


def _is_requirement(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("version") or "", str):
        return False
    return all(isinstance(item.get(key), str) and item[key] for key in ("name", "category"))


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as problem:
        raise error("bad-metadata", f"cannot be read: {problem.strerror}", place=Place(str(path))) from problem
    if len(content) > MAX_BYTES:
        raise error("bad-metadata", f"larger than {MAX_BYTES >> 20} MiB", place=Place(str(path)))
    return content


def _text(data: Mapping[str, Any], key: str, wrong: list[str]) -> str:
    value = data.get(key)
    if value is not None and not isinstance(value, str):
        wrong.append(f"{key} is no text")
        return ""
    return value or ""


def _mapping(data: Mapping[str, Any], key: str, wrong: list[str]) -> dict[str, Any]:
    value = data.get(key)
    if value is not None and not isinstance(value, dict):
        wrong.append(f"{key} is no mapping")
        return {}
    return value or {}


def compression_of(path: str) -> str:
    """The compression that a tarball's name tells."""
    return next((kind for kind, end in COMPRESSIONS.items() if end and path.endswith(end)), "none")
