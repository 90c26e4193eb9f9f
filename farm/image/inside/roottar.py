# SPDX-License-Identifier: GPL-3.0-or-later
"""The root's tarball: what is in it, and the entries that are put over it.

The farm's canonical tar (docs/store.md): ustar, with pax records where they are needed, two zero blocks at the end.
Only headers are read, so this is fast however large the files are.
"""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_BLOCK = 512
_MAX_LINKS = 40


class Root:
    """What a root holds: kinds, links and sizes by path (no slash at either end)."""

    def __init__(self, tar: Path) -> None:
        self.tar = tar
        self.kinds: dict[str, str] = {"": "5"}
        self.links: dict[str, str] = {}
        self.places: dict[str, tuple[int, int]] = {}
        self.end = 0
        """Where the entries end, before the two zero blocks."""
        with open(tar, "rb") as file:
            for name, kind, link, at, size in self._entries(file):
                self.kinds[name] = kind
                self.links.pop(name, None)
                if kind == "2":
                    self.links[name] = link
                elif kind == "0":
                    self.places[name] = (at, size)
                elif kind == "1":
                    self.places[name] = self.places.get(link.strip("/"), (0, 0))

    def _entries(self, file: BinaryIO) -> Iterator[tuple[str, str, str, int, int]]:
        records: dict[str, str] = {}
        while (header := file.read(_BLOCK)) and header[0]:
            kind = chr(header[156])
            size = int(records.get("size", "") or _octal(header[124:136]))
            at = file.tell()
            if kind in "xg":
                records = _records(file.read(size)) if kind == "x" else {}
            else:
                name = records.get("path") or _text(header[:100])
                link = records.get("linkpath") or _text(header[157:257])
                records = {}
                yield name.strip("/"), "0" if kind in "0\0" else kind, link, at, size if kind in "0\0" else 0
            file.seek(at + -(-size // _BLOCK) * _BLOCK if kind in "0\0xg" else at)
            self.end = file.tell()

    def resolve(self, path: str, *, last: bool = False) -> str:
        """Where a path leads inside the root: links in its folders are followed, that of its ``last`` part if asked."""
        done = ""
        todo = [part for part in path.split("/") if part not in ("", ".")]
        followed = 0
        while todo:
            part = todo.pop(0)
            if part == "..":
                done = posixpath.dirname(done)
                continue
            here = f"{done}/{part}".lstrip("/")
            if (todo or last) and here in self.links and followed < _MAX_LINKS:
                followed += 1
                target = self.links[here]
                done = "" if target.startswith("/") else done
                todo = [piece for piece in target.split("/") if piece not in ("", ".")] + todo
                continue
            done = here
        return done

    def read(self, path: str) -> bytes | None:
        """A regular file's content; None when there is no such file."""
        name = self.resolve(path)
        if name not in self.places:
            return None
        at, size = self.places[name]
        with open(self.tar, "rb") as file:
            file.seek(at)
            return file.read(size)

    def blocks(self, block: int) -> int:
        """Bytes that the files' contents take up in blocks of ``block`` bytes, hard links counted once."""
        seen = set(self.places.values())
        return sum(-(-size // block) * block for _, size in seen)


class Over:
    """Entries that are put over a root; an archive of their own behind the root's."""

    def __init__(self, root: Root, out: Path, epoch: int) -> None:
        self.root = root
        self.epoch = epoch
        self.kinds: dict[str, str] = {}
        self.size = 0
        self._tar = tarfile.open(out, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115  (closed by close)

    def hindrance(self, path: str, *, folder: bool = False) -> str:
        """Why a file (or a ``folder``) cannot be put there; empty when it can."""
        parent = self.root.resolve(posixpath.dirname("/" + path.strip("/")), last=True)
        name = f"{parent}/{posixpath.basename(path)}".lstrip("/")
        name = self.root.resolve(name, last=True) if folder else name
        above = name.split("/")[:-1]
        for end in range(1, len(above) + 1):
            if self._kind("/".join(above[:end])) not in ("", "5"):
                return f"/{'/'.join(above[:end])} is no folder"
        kind = self._kind(name)
        if folder:
            return "it is no folder" if kind not in ("", "5") else ""
        return "it is a folder" if kind == "5" else ""

    def _kind(self, name: str) -> str:
        """What is there, here or in the root; empty for nothing."""
        return self.kinds.get(name) or self.root.kinds.get(name, "")

    def folder(self, path: str, mode: int = 0o755, owner: tuple[int, int] = (0, 0)) -> str:
        """Makes sure of a folder and of those above it; those that are there are left alone. The path it has."""
        name = self.root.resolve(path, last=True)
        if self._kind(name) == "5":
            return name
        if posixpath.dirname(name) != name and posixpath.dirname(name):
            self.folder(posixpath.dirname(name))
        self._add(name, tarfile.DIRTYPE, mode, owner)
        return name

    def file(self, path: str, content: bytes, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> None:
        """Adds or replaces a regular file."""
        parent = self.folder(posixpath.dirname("/" + path.strip("/")))
        name = f"{parent}/{posixpath.basename(path)}".lstrip("/")
        self._add(name, tarfile.REGTYPE, mode, owner, content)

    def _add(self, name: str, kind: bytes, mode: int, owner: tuple[int, int], content: bytes = b"") -> None:
        import io

        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.mtime, entry.size = kind, mode, self.epoch, len(content)
        entry.uid, entry.gid = owner
        self._tar.addfile(entry, io.BytesIO(content))
        self.kinds[name] = "5" if kind == tarfile.DIRTYPE else "0"
        self.size += -(-len(content) // 4096) * 4096

    def close(self) -> None:
        """Ends the archive."""
        self._tar.close()


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _octal(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    return int(field.strip(b"\0 ") or b"0", 8)


def _records(data: bytes) -> dict[str, str]:
    """The records of a pax header: ``LENGTH KEY=VALUE\\n``. Values that are no UTF-8 keep their bytes."""
    found: dict[str, str] = {}
    while data:
        length, _, _ = data.partition(b" ")
        record = data[len(length) + 1 : int(length) - 1]
        key, _, value = record.partition(b"=")
        found[key.decode()] = value.decode("utf-8", "surrogateescape")
        data = data[int(length) :]
    return found
