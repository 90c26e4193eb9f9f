# SPDX-License-Identifier: GPL-3.0-or-later
"""The contract between a wagon and existing anise (luet) clients, checked with nothing of the farm's.

Written from what the Go client reads: keys, types and rules of repository.yaml, the tree, metadata and packages.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
import zstandard

TEXT, TEXTS, WHOLE, FLAG, MAPPING = "text", "texts", "whole", "flag", "mapping"
REPOSITORY = {
    "name": TEXT, "description": TEXT, "urls": TEXTS, "type": TEXT, "priority": WHOLE, "enable": FLAG,
    "cached": FLAG, "revision": WHOLE, "last_update": TEXT, "repo_files": MAPPING,
}  # fmt: skip
FILE = {"filename": TEXT, "compressiontype": TEXT, "checksums": MAPPING}
PACKAGE = {
    "id": WHOLE, "name": TEXT, "version": TEXT, "category": TEXT, "use_flags": TEXTS, "requires": "packages",
    "conflicts": "packages", "provides": "packages", "hidden": FLAG, "annotations": MAPPING, "labels": "labels",
    "description": TEXT, "uri": TEXTS, "license": TEXT, "buildtimestamp": TEXT, "treedir": TEXT,
}  # fmt: skip
METADATA = {
    "path": TEXT, "checksums": MAPPING, "compressiontype": TEXT, "files": TEXTS, "runtime": "package",
    "compilespec": MAPPING, "dependencies": "any", "package_cacheimage": TEXT, "farm": MAPPING,
}  # fmt: skip
NEEDED = {"name", "urls", "type", "revision", "last_update", "repo_files"}


def check(folder: Path) -> list[str]:
    """All that is against the contract."""
    repository = load_yaml((folder / "repository.yaml").read_bytes())
    found = [*typed(repository, REPOSITORY, "repository.yaml")]
    found += [f"repository.yaml: {key} is missing" for key in sorted(NEEDED - repository.keys())]
    if not re.fullmatch("[0-9]+", str(repository.get("last_update"))):
        found.append("last_update is no epoch")
    for key, file in repository.get("repo_files", {}).items():
        found += [*typed(file, FILE, key), *digest_of(folder / file["filename"], file["checksums"])]
    file = repository["repo_files"]["treev2"]
    return found + list(tree(folder, unpacked(folder / file["filename"], file["compressiontype"])))


def tree(folder: Path, plain: bytes) -> Iterator[str]:
    """The tree's tarball."""
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
        members = {member.name.removeprefix("./"): member for member in tar}
        files = {name: tar.extractfile(m).read() for name, m in members.items() if m.isreg()}  # type: ignore[union-attr]
    yield from (f"{name} is neither file nor folder" for name, m in members.items() if not m.isreg() and not m.isdir())
    provided: dict[str, set[str]] = {}
    for name, content in files.items():
        parts = name.split("/")
        if name == "provides.yaml":
            continue
        if len(parts) != 4 or parts[3] not in ("definition.yaml", "metadata.json", "finalize.yaml"):
            yield f"{name} has no place in a tree"
        elif parts[3] == "definition.yaml":
            definition = load_yaml(content)
            yield from typed({k: v for k, v in definition.items() if k in PACKAGE}, PACKAGE, name)
            if [definition[key] for key in ("category", "name", "version")] != parts[:3]:
                yield f"{name} is of another package"
            if f"{'/'.join(parts[:3])}/metadata.json" not in files:
                yield f"{name} has no metadata.json"
            for item in definition.get("provides") or ():
                provided.setdefault(f"{item['category']}/{item['name']}", set()).add(definition["name"])
        elif parts[3] == "metadata.json":
            yield from metadata(folder, name, json.loads(content), parts)
        else:
            yield from typed(load_yaml(content) or {}, dict.fromkeys(("shell", "install", "uninstall"), TEXTS), name)
    document = load_yaml(files["provides.yaml"])["provides"] or {}
    if {atom: {item["name"] for item in items} for atom, items in document.items()} != provided:
        yield "provides.yaml does not say what the definitions do"


def metadata(folder: Path, name: str, data: dict[str, Any], parts: list[str]) -> Iterator[str]:
    """One package's metadata, and its tarball."""
    yield from typed(data, METADATA, name)
    if [data["runtime"][key] for key in ("category", "name", "version")] != parts[:3]:
        yield f"{name} is of another package"
    spec = data.get("compilespec")
    if spec is not None:
        if "package" not in spec:
            yield f"{name}: compilespec without package makes the client crash"
        else:
            yield from typed(spec["package"], PACKAGE, name)
    if "config_protect" in (data["runtime"].get("annotations") or {}):
        inner = ((spec or {}).get("package") or {}).get("annotations") or {}
        if "config_protect" not in inner:
            yield f"{name}: the client reads config_protect from compilespec.package only"
    path = folder / Path(data["path"]).name
    yield from digest_of(path, data["checksums"])
    if path.is_file():
        yield from package(path, data)


def package(path: Path, data: dict[str, Any]) -> Iterator[str]:
    """A package's tarball: what metadata says of it, and nothing that the client cannot unpack."""
    if data["compressiontype"] not in ("zstd", "gzip"):
        yield f"{path.name} is not compressed: subsets would be ignored"
    files = []
    with tarfile.open(fileobj=io.BytesIO(unpacked(path, data["compressiontype"])), mode="r:") as tar:
        for member in tar:
            if member.isfifo():
                yield f"{path.name} has a FIFO"
            if not member.isdir():
                files.append(member.name)
    if files != (data["files"] or []):
        yield f"{path.name}: files are not those of the tarball, in its order"


def typed(data: Any, kinds: dict[str, str], where: str) -> Iterator[str]:
    """Whether each value has the type that the Go client unmarshals it into (null is anything)."""
    if not isinstance(data, dict):
        yield f"{where} is no mapping"
        return
    for key, value in data.items():
        kind = kinds.get(key)
        if kind is None:
            yield f"{where}: unknown key {key}"
        elif value is not None and not is_a(value, kind):
            yield f"{where}: {key} is not {kind}"
        elif kind in ("package", "packages"):
            for item in [value] if kind == "package" else value or ():
                yield from typed(item, PACKAGE, f"{where}: {key}")


def is_a(value: Any, kind: str) -> bool:
    """Whether a value is of a kind."""
    return {
        TEXT: lambda: isinstance(value, str),
        TEXTS: lambda: isinstance(value, list) and all(isinstance(item, str) for item in value),
        WHOLE: lambda: isinstance(value, int) and not isinstance(value, bool),
        FLAG: lambda: isinstance(value, bool),
        MAPPING: lambda: isinstance(value, dict),
        "package": lambda: isinstance(value, dict),
        "packages": lambda: isinstance(value, list) and all(isinstance(item, dict) for item in value),
        "labels": lambda: isinstance(value, dict) and all(isinstance(item, str) for item in value.values()),
        "any": lambda: True,
    }[kind]()


def digest_of(path: Path, checksums: dict[str, str]) -> Iterator[str]:
    """Whether a file is there with its sha256."""
    if not path.is_file():
        yield f"{path.name} is missing"
    elif hashlib.sha256(path.read_bytes()).hexdigest() != checksums.get("sha256"):
        yield f"{path.name} has another sha256"


def unpacked(path: Path, compression: str) -> bytes:
    """A tarball without its compression."""
    content = path.read_bytes()
    if compression == "zstd":
        return zstandard.ZstdDecompressor().stream_reader(content).read()
    return gzip.decompress(content) if compression == "gzip" else content


def load_yaml(content: bytes) -> Any:
    """YAML as plain data, by a parser that is not the farm's."""
    return yaml.safe_load(content)
