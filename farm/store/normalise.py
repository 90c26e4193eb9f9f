# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PTH101, PTH106, PTH108, PTH208
# (names are bytes, which pathlib cannot hold)
"""Makes an overlay's upper directory into the one form that its changes can have.

Works from the leaves up and in place. What equals the layers below is dropped, so are marks that hide
nothing; times are whole seconds and never later than the epoch; overlayfs' own attributes but one go.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from farm.spec.problem import error
from farm.store.entry import FILE, FOLDER, OPAQUE, WHITEOUT, Entry, chunks, examine
from farm.store.reach import Reach
from farm.store.removal import remove_tree
from farm.store.union import Union

_MANY = 16
Holders = tuple[Reach, ...]


class _Folder:
    """A folder of the upper directory that is being worked on, with what is left of it."""

    def __init__(self, entry: Entry, below: Holders, hidden: Holders, original: Entry | None) -> None:
        self.entry = entry
        self.below = below
        self.hidden = hidden
        self.original = original
        self.names: list[bytes] = []
        self.listed: dict[bytes, Holders] | None = None
        self.start = 0
        self.all_whiteouts = False


class Normaliser:
    """Normalises ``upper`` on top of ``lowers`` (lowest first).

    ``lowers`` None: an imported layer, whose whiteouts and opaque folders are all kept. Afterwards
    ``entries`` are the layer's entries in order, and ``deleted`` the paths that the layer removes.
    """

    def __init__(self, upper: Path, lowers: Sequence[Path] | None, epoch: int | None) -> None:
        self.entries: list[Entry] = []
        self.deleted: list[bytes] = []
        self._upper = Reach(upper)
        self._keep = lowers is None
        self._union = Union(lowers or ())
        self._latest = epoch

    def run(self) -> None:
        """Does all of it. Raises FarmError ``overlay-feature`` for what the store cannot read."""
        with self._upper, self._union:
            top = examine(self._upper.root, b"")
            assert top is not None
            if top.opaque:
                raise error("overlay-feature", "the top of an upper directory is marked opaque")
            _reset_top(top)
            stack = [self._enter(top, self._union.layers, (), None)]
            while stack:
                folder = stack[-1]
                if not folder.names:
                    self._leave(stack.pop())
                    continue
                if (inner := self._visit(folder, folder.names.pop())) is not None:
                    stack.append(inner)

    def _enter(self, entry: Entry, below: Holders, hidden: Holders, original: Entry | None) -> _Folder:
        folder = _Folder(entry, below, hidden, original)
        folder.names = sorted(os.listdir(self._upper.at(entry.path)), reverse=True)
        folder.all_whiteouts = entry.marks.get("opaque") == b"x"
        folder.start = len(self.entries)
        present = set(folder.names)
        if below and len(present) >= _MANY:
            folder.listed = self._union.children(below, entry.path)
        if hidden:
            self.deleted += [_join(entry.path, n) for n in self._union.children(hidden, entry.path) if n not in present]
        return folder

    def _visit(self, folder: _Folder, name: bytes) -> _Folder | None:
        path = _join(folder.entry.path, name)
        source = self._upper.at(folder.entry.path) + b"/" + name
        entry = examine(source, path)
        if entry is None:
            os.unlink(source)
            return None
        below = self._find(folder, name)
        if entry.kind == WHITEOUT or _is_marked_whiteout(entry, folder):
            self._whiteout(entry, below)
            return None
        hidden = self._union.find(folder.hidden, folder.entry.path, name) if folder.hidden else ()
        original = examine(below[0].entry(path), path) if below else None
        if entry.kind == FOLDER:
            return self._folder(entry, below, hidden, original)
        if original is not None and _equal(entry, original):
            os.unlink(source)
            return None
        self._keep_entry(entry)
        return None

    def _find(self, folder: _Folder, name: bytes) -> Holders:
        if folder.listed is not None:
            return folder.listed.get(name, ())
        return self._union.find(folder.below, folder.entry.path, name) if folder.below else ()

    def _whiteout(self, entry: Entry, below: Holders) -> None:
        if not below and not self._keep:
            os.unlink(entry.source)
            return
        if entry.kind != WHITEOUT:
            os.unlink(entry.source)
            os.mknod(entry.source, stat.S_IFCHR, 0)
        hidden = Entry(entry.path, WHITEOUT)
        self.entries.append(hidden)
        self.deleted.append(entry.path)

    def _folder(self, entry: Entry, below: Holders, hidden: Holders, original: Entry | None) -> _Folder:
        if original is not None and original.kind != FOLDER:
            below, original = (), None
        if entry.opaque and not self._keep:
            entry.opaque = bool(below)
            below, hidden = (), below or hidden
        inner = self._enter(entry, below, hidden, original)
        self.entries.append(entry)
        return inner

    def _leave(self, folder: _Folder) -> None:
        entry, path = folder.entry, folder.entry.path
        if not path:
            self._clamp(self._upper.root, 0, fixed=True)
            return
        unchanged = folder.original is not None and not entry.opaque and entry.same_but_time(folder.original)
        if unchanged and len(self.entries) == folder.start + 1:
            self.entries.pop()
            os.rmdir(self._upper.entry(path))
            return
        self._finish(entry, self._upper.entry(path))

    def _keep_entry(self, entry: Entry) -> None:
        self._finish(entry, entry.source)
        self.entries.append(entry)

    def _finish(self, entry: Entry, source: bytes) -> None:
        for mark in entry.marks:
            if mark != "opaque" or not entry.opaque or entry.kind != FOLDER:
                _strip(source, mark)
        if entry.opaque:
            _strip(source, "opaque")
            os.setxattr(source, OPAQUE, b"y")
        entry.mtime = self._clamp(source, entry.mtime)

    def _clamp(self, source: bytes, mtime: int, *, fixed: bool = False) -> int:
        wanted = max(0, mtime if self._latest is None else min(mtime, self._latest))
        exact = wanted * 1_000_000_000
        if fixed or os.lstat(source).st_mtime_ns != exact:
            os.utime(source, ns=(exact, exact), follow_symlinks=False)
        return wanted


def drop(upper: Path, paths: Sequence[str]) -> None:
    """Removes ``paths`` (absolute in the root) from an upper directory. No link is followed."""
    for path in paths:
        parts = [part for part in path.split("/") if part not in ("", ".")]
        if ".." in parts or not parts:
            raise error("bad-path", f"{path!r} cannot be left out of a layer")
        folder = upper
        for part in parts[:-1]:
            folder = folder / part
            if not _is_real_folder(folder):
                break
        else:
            remove_tree(folder / parts[-1])


def _reset_top(top: Entry) -> None:
    """The top has no entry of its own in a layer: it is always 0755 0:0 without attributes."""
    os.chown(top.source, 0, 0)
    os.chmod(top.source, 0o755)
    for name in os.listxattr(top.source):
        if name != "security.selinux":
            os.removexattr(top.source, name)


def _is_real_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def _join(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder else name


def _is_marked_whiteout(entry: Entry, folder: _Folder) -> bool:
    return folder.all_whiteouts and entry.kind == FILE and not entry.size and "whiteout" in entry.marks


def _equal(entry: Entry, original: Entry) -> bool:
    if entry.inode is not None or not entry.same_but_time(original):
        return False
    return entry.kind != FILE or all(a == b for a, b in zip(chunks(entry), chunks(original), strict=True))


def _strip(source: bytes, mark: str) -> None:
    for space in ("user", "trusted"):
        try:
            os.removexattr(source, f"{space}.overlay.{mark}", follow_symlinks=False)
        except OSError:
            continue
