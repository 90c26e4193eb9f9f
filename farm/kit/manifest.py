# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifest files of packages (GLEP 44 and 74): what each distfile's size and hashes have to be.

Kits are *thin*: a Manifest has DIST lines only (``DIST name size HASH hex HASH hex…``), sorted by name. A package
without distfiles has no Manifest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from farm.spec.problem import FarmError, Place, Problem

DEFAULT_HASHES = ("BLAKE2B", "SHA512")
_MAKERS = {"BLAKE2B": "blake2b", "SHA512": "sha512", "SHA256": "sha256", "SHA1": "sha1", "MD5": "md5",
           "SHA3_256": "sha3_256", "SHA3_512": "sha3_512", "BLAKE2S": "blake2s"}  # fmt: skip
"""Names of GLEP 59 and 74 → of hashlib."""
_LENGTHS = {name: hashlib.new(maker).digest_size * 2 for name, maker in _MAKERS.items()}
_NAME = re.compile(r"[^\s/\x00-\x1f]+")
_CHUNK = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Distfile:
    """One distfile: its name, size in bytes, and hashes (name → lower-case hex) in the order of the line."""

    name: str
    size: int
    hashes: Mapping[str, str]

    def line(self) -> str:
        """The DIST line, without a newline."""
        return " ".join(["DIST", self.name, str(self.size), *(word for pair in self.hashes.items() for word in pair)])


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """The distfiles of a package, by name."""

    distfiles: Mapping[str, Distfile] = dataclasses.field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The whole file; empty when there is no distfile (there is no file then)."""
        return "".join(f"{self.distfiles[name].line()}\n" for name in sorted(self.distfiles)).encode()

    def only(self, names: Iterable[str]) -> Manifest:
        """The same without what is not in ``names``."""
        wanted = set(names)
        return Manifest({name: file for name, file in self.distfiles.items() if name in wanted})

    def with_files(self, files: Iterable[Distfile]) -> Manifest:
        """The same with ``files`` added, or put in the place of those of their names."""
        return Manifest({**self.distfiles, **{file.name: file for file in files}})

    def conflicts(self, other: Manifest) -> list[str]:
        """Names that both have with another size, or another value of a hash that both know."""
        both = self.distfiles.keys() & other.distfiles.keys()
        return sorted(name for name in both if not agree(self.distfiles[name], other.distfiles[name]))


def agree(one: Distfile, other: Distfile) -> bool:
    """Whether two lines can be of the same file."""
    shared = one.hashes.keys() & other.hashes.keys()
    return one.size == other.size and all(one.hashes[name] == other.hashes[name] for name in shared)


def parse_manifest(content: bytes, file: str) -> Manifest:
    """Reads a Manifest. Lines other than DIST (of a thick Manifest) are passed over, a DIST line that is there twice
    counts once. FarmError ``bad-manifest`` with every line that cannot be one, a half-written last line among them.
    """
    text = content.decode("utf-8", "replace")
    found: dict[str, Distfile] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("DIST"):
            continue
        distfile = _parse_line(line)
        if distfile is None:
            hint = "it may be half-written: restore it from the kit's history, or make it anew"
            problems.append(Problem("bad-manifest", f"not a DIST line: {line[:80]!r}", Place(file, number), hint))
        else:
            found.setdefault(distfile.name, distfile)
    if problems:
        raise FarmError(problems)
    return Manifest(found)


def salvage(content: bytes) -> Manifest:
    """The lines of a Manifest that are whole, whatever else is in it."""
    lines = content.decode("utf-8", "replace").splitlines()
    found = [distfile for line in lines if (distfile := _parse_line(line))]
    return Manifest({distfile.name: distfile for distfile in reversed(found)})


def _parse_line(line: str) -> Distfile | None:
    words = line.split()
    if len(words) < 5 or len(words) % 2 == 0 or words[0] != "DIST" or not _NAME.fullmatch(words[1]):
        return None
    hashes = dict(zip(words[3::2], (word.lower() for word in words[4::2]), strict=True))
    whole = all(re.fullmatch(r"[0-9a-f]+", h) and len(h) == _LENGTHS.get(name, len(h)) for name, h in hashes.items())
    if not whole or not words[2].isascii() or not words[2].isdigit():
        return None
    return Distfile(words[1], int(words[2]), hashes)


def hash_file(file: Path, name: str, hashes: Sequence[str] = DEFAULT_HASHES) -> Distfile:
    """Reads a file once and gives its line. OSError; FarmError ``unknown-hash``."""
    with file.open("rb") as stream:
        return hash_stream(stream, name, hashes)


def hash_stream(stream: BinaryIO, name: str, hashes: Sequence[str] = DEFAULT_HASHES) -> Distfile:
    """The line of all that ``stream`` still has."""
    makers = {kind: new_hash(kind) for kind in hashes}
    size = 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        for maker in makers.values():
            maker.update(chunk)
    return Distfile(name, size, {kind: maker.hexdigest() for kind, maker in makers.items()})


def new_hash(kind: str) -> hashlib._Hash:
    """A hash by its name in Manifests. FarmError ``unknown-hash``."""
    if kind not in _MAKERS:
        raise FarmError(Problem("unknown-hash", f"no hash {kind!r}", hint=f"one of: {', '.join(sorted(_MAKERS))}"))
    return hashlib.new(_MAKERS[kind], usedforsecurity=False)


def hash_kinds(asked: Iterable[str]) -> tuple[str, ...]:
    """BLAKE2B and SHA512, and what ``metadata.manifest_hashes`` asks for besides, in the order of GLEP 74."""
    return tuple(dict.fromkeys([*DEFAULT_HASHES, *(kind.upper() for kind in asked)]))
