# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PTH208
# (names are bytes, which pathlib cannot hold)
"""The merged view of layers, read without a mount: whiteouts and opaque folders as overlayfs has them.

Order of every walk: depth first, names of a folder in byte order, a folder before what is in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from farm.spec.problem import error
from farm.store.entry import FOLDER, SYMLINK, Entry, examine, is_opaque, is_whiteout
from farm.store.reach import Reach

_MAX_LINKS = 40

Skip = Callable[[bytes], bool]


def walk_layer(layer: Reach, skip: Skip | None = None) -> Iterator[Entry]:
    """All entries of one layer, whiteouts included. What ``skip`` says of a path holds for all below it too."""
    stack = [(b"", _names(layer.at(b"")))]
    while stack:
        prefix, names = stack[-1]
        base = layer.at(prefix[:-1])
        while names:
            name = names.pop()
            path = prefix + name
            if skip is not None and skip(path):
                continue
            entry = examine(base + b"/" + name, path)
            if entry is None:
                continue
            yield entry
            if entry.kind == FOLDER:
                stack.append((path + b"/", _names(layer.at(path))))
                break
        else:
            stack.pop()


class Union:
    """The union of layer folders, given lowest first as a mount has them."""

    def __init__(self, layers: Sequence[Path]) -> None:
        self.layers: tuple[Reach, ...] = tuple(Reach(path) for path in reversed(layers))
        """Highest first."""

    def __enter__(self) -> Union:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for layer in self.layers:
            layer.close()

    def find(self, holders: Sequence[Reach], folder: bytes, name: bytes) -> tuple[Reach, ...]:
        """The layers that show ``name`` of ``folder``, highest first, where ``holders`` show the folder.

        More than one only for a merged folder. Empty: there is no such entry.
        """
        found: list[Reach] = []
        for layer in holders:
            source = layer.at(folder) + b"/" + name
            try:
                info = os.lstat(source)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if is_whiteout(info):
                break
            if (info.st_mode & 0o170000) != 0o040000:
                return tuple(found) or (layer,)
            found.append(layer)
            if is_opaque(source):
                break
        return tuple(found)

    def lookup(self, path: bytes) -> tuple[Reach, ...]:
        """The layers that show ``path`` (no link is followed), as `find` has it. Empty path: the top."""
        holders, folder = self.layers, b""
        for name in path.split(b"/") if path else ():
            holders = self.find(holders, folder, name)
            if not holders:
                return ()
            folder = folder + b"/" + name if folder else name
        return holders

    def entry(self, path: bytes) -> Entry | None:
        """The entry at ``path``, no link followed. None: there is none, or it is a socket."""
        holders = self.lookup(path)
        return examine(holders[0].entry(path), path) if holders else None

    def resolve(self, path: bytes) -> bytes | None:
        """Where ``path`` leads with all links followed, none of which can leave the root. None: nowhere."""
        todo = path.split(b"/")[::-1]
        done: list[bytes] = []
        links = 0
        while todo:
            name = todo.pop()
            if name == b"..":
                del done[-1:]
            if name in (b"", b".", b".."):
                continue
            entry = self.entry(b"/".join([*done, name]))
            if entry is None:
                return None
            if entry.kind != SYMLINK:
                done.append(name)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise error("link-loop", f"too many symbolic links in {os.fsdecode(path)}")
            if entry.link.startswith(b"/"):
                done.clear()
            todo.extend(entry.link.split(b"/")[::-1])
        return b"/".join(done)

    def place(self, path: bytes) -> bytes:
        """Where something new at ``path`` would lie: as many of its folders as are there are resolved."""
        folder, _, name = path.rpartition(b"/")
        if not folder:
            return name
        real = self.resolve(folder)
        return (real + b"/" if real else b"") + name if real is not None else self.place(folder) + b"/" + name

    def names(self, path: bytes) -> list[bytes]:
        """Names in the merged folder ``path``, sorted."""
        return sorted(self.children(self.lookup(path), path))

    def children(self, holders: Sequence[Reach], folder: bytes) -> dict[bytes, tuple[Reach, ...]]:
        """Each name of a merged folder with the layers that show it, as `find` has it."""
        if len(holders) == 1:
            only = (holders[0],)
            base = only[0].at(folder)
            return {item.name: only for item in _scan(base) if not _hides(item)}
        return {name: tuple(layers) for name, (layers, _) in _merge(holders, folder).items() if layers}

    def walk(self, top: bytes = b"", skip: Skip | None = None) -> Iterator[Entry]:
        """All entries below the folder ``top``, which has no link in it; paths are relative to it."""
        prefix = top + b"/" if top else b""
        cut = len(prefix)
        stack = [(prefix, *self._listing(self.lookup(top), top))]
        while stack:
            prefix, names, holders = stack[-1]
            while names:
                name = names.pop()
                full = prefix + name
                if skip is not None and skip(full[cut:]):
                    continue
                shown = holders[name]
                entry = examine(shown[0].at(prefix[:-1]) + b"/" + name, full[cut:])
                if entry is None:
                    continue
                entry.opaque = False
                yield entry
                if entry.kind == FOLDER:
                    stack.append((full + b"/", *self._listing(shown, full)))
                    break
            else:
                stack.pop()

    def _listing(self, holders: Sequence[Reach], folder: bytes) -> tuple[list[bytes], dict[bytes, tuple[Reach, ...]]]:
        children = self.children(holders, folder)
        return sorted(children, reverse=True), children


def _names(folder: bytes) -> list[bytes]:
    return sorted(os.listdir(folder), reverse=True)


def _scan(folder: bytes) -> list[os.DirEntry[bytes]]:
    with os.scandir(folder) as items:
        return list(items)


def _hides(item: os.DirEntry[bytes]) -> bool:
    plain = item.is_file(follow_symlinks=False) or item.is_dir(follow_symlinks=False) or item.is_symlink()
    return not plain and is_whiteout(item.stat(follow_symlinks=False))


def _merge(holders: Sequence[Reach], folder: bytes) -> dict[bytes, tuple[list[Reach], bool]]:
    """Names with the layers that show them (none: hidden), and whether a layer below may still add to them."""
    merged: dict[bytes, tuple[list[Reach], bool]] = {}
    for layer in holders:
        for item in _scan(layer.at(folder)):
            layers, is_open = merged.get(item.name, ([], True))
            if not is_open:
                continue
            if item.is_dir(follow_symlinks=False):
                layers.append(layer)
                merged[item.name] = (layers, not is_opaque(item.path))
            elif layers or _hides(item):
                merged[item.name] = (layers, False)
            else:
                merged[item.name] = ([layer], False)
    return merged
