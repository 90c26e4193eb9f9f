# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PTH101
# (names are bytes below descriptors, which pathlib cannot hold)
"""Does the steps of a transaction, forward and backward. Doing a backward step again changes nothing."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path

from farm.client.transaction.area import Area, join, split
from farm.client.transaction.places import OLD
from farm.client.transaction.step import Attributes, Step
from farm.client.transaction.writeback import syncfs

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Switch:
    """Moves files between the work folders and the root."""

    def __init__(self, root: Path, works: Sequence[Path]) -> None:
        self._stack = contextlib.ExitStack()
        self._root = self._stack.enter_context(Area(root))
        self._works = [self._stack.enter_context(Area(work)) if work.is_dir() else None for work in works]

    def __enter__(self) -> Switch:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def forward(self, steps: Sequence[Step]) -> None:
        """Does all steps. OSError; what was done until then stays for `backward`."""
        for step in steps:
            kind = step.kind
            if kind == "add":
                self._rename_in(step)
            elif kind == "replace":
                self._save_link(step)
                self._rename_in(step)
            elif kind == "remove":
                self._save(step)
            elif kind == "folder":
                self._make(step)
            else:
                self._set_mode(step.target, step.after)
        for step in reversed(steps):
            if step.kind == "folder" and step.after is not None and step.after.mtime is not None:
                self._set_time(step.target, step.after.mtime)

    def backward(self, steps: Sequence[Step]) -> None:
        """Undoes the steps that were done, the last first. OSError."""
        for step in reversed(steps):
            if step.kind in ("replace", "remove"):
                self._restore(step)
            elif step.kind == "add":
                self._rename_out(step)
            elif step.kind == "folder":
                self._unmake(step.target)
            else:
                self._set_mode(step.target, step.before)

    def remove_empty(self, folders: Sequence[bytes]) -> None:
        """Removes those of the folders that are empty, in their order."""
        for folder in folders:
            self._unmake(folder)

    def sync(self) -> None:
        """Brings all that was written to the file systems of the root and the work folders to their disks."""
        for area in (self._root, *self._works):
            if area is not None:
                syncfs(area.top)

    def _work(self, step: Step) -> Area:
        work = self._works[step.place]
        if work is None:
            raise FileNotFoundError(errno.ENOENT, "the work folder is gone")
        return work

    def _rename_in(self, step: Step) -> None:
        (folder, name), (below, source) = split(step.target), split(step.source)
        os.rename(source, name, src_dir_fd=self._work(step).folder(below), dst_dir_fd=self._root.folder(folder))

    def _rename_out(self, step: Step) -> None:
        (folder, name), (below, source) = split(step.target), split(step.source)
        work = self._work(step)
        if work.status(step.source) is None and self._root.status(step.target) is not None:
            self._root.forget(step.target)
            os.rename(name, source, src_dir_fd=self._root.folder(folder), dst_dir_fd=work.folder(below))

    def _save_link(self, step: Step) -> None:
        folder, name = split(step.target)
        old = self._work(step).folder(OLD.encode())
        try:
            os.link(
                name, b"%d" % step.saved, src_dir_fd=self._root.folder(folder), dst_dir_fd=old, follow_symlinks=False
            )
        except OSError as fault:
            if fault.errno not in _NO_LINKS:
                raise
            self._save(step)

    def _save(self, step: Step) -> None:
        folder, name = split(step.target)
        old = self._work(step).folder(OLD.encode())
        os.rename(name, b"%d" % step.saved, src_dir_fd=self._root.folder(folder), dst_dir_fd=old)
        self._root.forget(step.target)

    def _restore(self, step: Step) -> None:
        work = self._work(step)
        saved = join(OLD.encode(), b"%d" % step.saved)
        if work.status(saved) is None:
            return
        folder, name = split(step.target)
        old = work.folder(OLD.encode())
        os.rename(b"%d" % step.saved, name, src_dir_fd=old, dst_dir_fd=self._root.folder(folder))

    def _make(self, step: Step) -> None:
        folder, name = split(step.target)
        assert step.after is not None
        os.mkdir(name, 0o700, dir_fd=self._root.folder(folder))
        self._set_mode(step.target, step.after)

    def _unmake(self, path: bytes) -> None:
        folder, name = split(path)
        self._root.forget(path)
        try:
            os.rmdir(name, dir_fd=self._root.folder(folder))
        except OSError as fault:
            if fault.errno not in (
                errno.ENOENT,
                errno.ENOTEMPTY,
                errno.EEXIST,
                errno.ENOTDIR,
                errno.ELOOP,
                errno.EBUSY,
            ):
                raise

    def _set_mode(self, path: bytes, wanted: Attributes | None) -> None:
        if wanted is None:
            return
        above, name = split(path)
        fd = self._root.folder(above)
        info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if (info.st_uid, info.st_gid) != (wanted.uid, wanted.gid):
            os.chown(name, wanted.uid, wanted.gid, dir_fd=fd, follow_symlinks=False)
        os.chmod(self._root.named(path), wanted.mode)
        for attribute, value in wanted.xattrs:
            os.setxattr(self._root.named(path), attribute, bytes.fromhex(value), follow_symlinks=False)

    def _set_time(self, path: bytes, mtime: int) -> None:
        above, name = split(path)
        time = max(0, mtime) * 1_000_000_000
        os.utime(name, ns=(time, time), dir_fd=self._root.folder(above), follow_symlinks=False)
