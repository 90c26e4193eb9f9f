# SPDX-License-Identifier: GPL-3.0-or-later
"""Verifies an output: its digests, its signature, and its list against what is in it."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from farm.spec.problem import FarmError, error
from farm.stage.contents import line
from farm.stage.deliver import beside
from farm.stage.layout import Layout
from farm.stage.library import Library
from farm.store.archive import decompressed as unpacked
from farm.store.archive import opened, read_ahead
from farm.store.outputs import digests_of
from farm.store.signature import PublicKey, verify_digest
from farm.store.tarreader import TarReader

Verdict = Literal["ok", "bad", "missing"]
_LINE = re.compile(r"([0-9a-f]+) [ *](.+)")
_MOST = 256 << 20
"""Bytes of a list at the most."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``what``: ``sha256``, ``sha512``, ``signature``, ``contents``."""

    file: str
    what: str
    verdict: Verdict
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)


def files_of(name: str, library: Library, layout: Layout) -> list[Path]:
    """The file of that name, or the outputs of the newest complete version of a stage. FarmError ``no-last-stage``."""
    path = Path(name)
    if path.exists() and not name.endswith(".yaml"):
        return [path.resolve() if path.is_symlink() else path]
    latest = layout.latest(library.stage(name).release)
    if latest is None:
        raise error("no-last-stage", f"{layout.root} has no complete version of {name}")
    return [latest.folder / output["file"] for output in (latest.info or {})["outputs"]]


def verify_output(file: Path, trusted: Sequence[PublicKey], *, signed: bool = False) -> list[Finding]:
    """All findings of one output, a file or the folder of an OCI layout.

    ``signed``: without a good signature of one of the ``trusted`` keys it is bad. One digest file has to be there.
    """
    name = file.name
    index = file / "index.json" if file.is_dir() else file
    if not index.is_file():
        return [Finding(name, "file", "bad", "there is no such file")]
    found = [_digest(file, kind) for kind in ("sha256", "sha512")]
    if all(one.verdict == "missing" for one in found):
        found = [dataclasses.replace(one, verdict="bad", detail="there is no digest file") for one in found]
    found.append(_signature(file, index, trusted, signed))
    found.append(_contents(file))
    return found


def _digest(file: Path, kind: str) -> Finding:
    """Each line of a digest file, as ``sha256sum -c`` reads it."""
    listing = beside(file, f".{kind}")
    if not listing.is_file():
        return Finding(file.name, kind, "missing", "no digest file")
    count = 0
    for text in listing.read_text("utf-8", "replace").splitlines():
        match = _LINE.fullmatch(text)
        if match is None or not _is_below(match[2], file.name):
            return Finding(file.name, kind, "bad", f"{listing.name}: this is no line for this file: {text[:80]}")
        try:
            with open(file.parent / match[2], "rb") as source:
                digest = hashlib.file_digest(source, kind).hexdigest()
        except OSError as fault:
            return Finding(file.name, kind, "bad", f"{match[2]}: {fault.strerror}")
        if digest != match[1]:
            return Finding(file.name, kind, "bad", f"{match[2]} is {digest}, expected {match[1]}")
        count += 1
    return Finding(file.name, kind, "ok" if count else "bad", "" if count else f"{listing.name} is empty")


def _is_below(name: str, file: str) -> bool:
    parts = name.split("/")
    return parts[0] == file and ".." not in parts


def _signature(file: Path, index: Path, trusted: Sequence[PublicKey], signed: bool) -> Finding:
    listing = beside(file, ".minisig")
    if not listing.is_file():
        return Finding(file.name, "signature", "bad" if signed else "missing", "it is not signed")
    try:
        found = verify_digest(digests_of(index).blake2b, listing.read_bytes(), trusted)
    except FarmError as failure:
        unknown = failure.code == "untrusted-key" and not signed
        return Finding(file.name, "signature", "missing" if unknown else "bad", failure.problems[0].message)
    return Finding(file.name, "signature", "ok", found.comment)


def _contents(file: Path) -> Finding:
    listing = beside(file, ".CONTENTS.gz")
    if not listing.is_file():
        return Finding(file.name, "contents", "missing", "no list")
    try:
        with gzip.open(listing) as source:
            wanted = source.read(_MOST)
        count = _compare(iter(wanted.splitlines(keepends=True)), _lines(_tarball(file)))
    except FarmError as failure:
        return Finding(file.name, "contents", "bad", failure.problems[0].message)
    except (OSError, EOFError, ValueError, KeyError) as fault:
        return Finding(file.name, "contents", "bad", str(fault))
    return Finding(file.name, "contents", "ok", f"{count} entries")


def _tarball(file: Path) -> Path:
    """The tarball itself; of an OCI layout its layer."""
    if not file.is_dir():
        return file
    index = json.loads((file / "index.json").read_bytes())
    blobs = file / "blobs" / "sha256"
    manifest = json.loads((blobs / index["manifests"][0]["digest"].removeprefix("sha256:")).read_bytes())
    return blobs / Path(manifest["layers"][0]["digest"].removeprefix("sha256:")).name


def _lines(tarball: Path) -> Iterator[bytes]:
    width = 0
    with opened(tarball) as (head, stream), read_ahead(unpacked(head, stream)) as pieces:
        for entry in TarReader(pieces):
            text, width = line(entry, width)
            yield text


def _compare(wanted: Iterator[bytes], found: Iterator[bytes]) -> int:
    """The number of entries. ValueError names the first that differs."""
    count = 0
    with contextlib.closing(found):  # type: ignore[type-var]
        for text in found:
            count += 1
            expected = next(wanted, b"nothing")
            if text != expected:
                shown = (part.decode("utf-8", "replace").strip() for part in (text, expected))
                raise ValueError("entry {} is {!r}, the list has {!r}".format(count, *shown))
    if (rest := next(wanted, None)) is not None:
        raise ValueError(f"the list has more: {rest.decode('utf-8', 'replace').strip()!r}")
    return count
