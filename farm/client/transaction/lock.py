# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may change a root: one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from farm.client.config import ClientConfig
from farm.client.transaction.area import Area, split
from farm.client.transaction.view import View
from farm.spec.problem import error
from farm.store.session import DYING, lock_file

_HELD: set[Path] = set()


@contextlib.contextmanager
def locked(config: ClientConfig) -> Iterator[None]:
    """Holds anise's lock of the root (unless ``LUET_NOLOCK`` is set) and the lock of its transactions.

    Inside of it it may be taken again. FarmError ``locked`` when another process has one of them.
    """
    if config.database_path in _HELD:
        yield
        return
    with contextlib.ExitStack() as stack:
        if config.lock:
            config.rootfs.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_inside(config))
        config.database_path.mkdir(parents=True, exist_ok=True)
        stack.enter_context(_held(os.open(transaction_lock(config), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)))
        _HELD.add(config.database_path)
        stack.callback(_HELD.discard, config.database_path)
        yield


def transaction_lock(config: ClientConfig) -> Path:
    """The file whose lock says that the owner of the transaction's folder is alive."""
    return config.database_path / "transaction.lock"


@contextlib.contextmanager
def _inside(config: ClientConfig) -> Iterator[None]:
    """The lock file by a path whose links (``/var/lock``) are followed inside the root only."""
    with Area(config.rootfs) as root:
        view = View(root)
        folder, name = split(os.fsencode(config.lock_file.relative_to(config.rootfs)))
        real = view.real(folder)
        root.make(real)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, 0o644, dir_fd=root.folder(real))
    with _held(fd):
        yield


@contextlib.contextmanager
def _held(fd: int) -> Iterator[None]:
    try:
        try:
            lock_file(fd, fcntl.LOCK_EX, DYING)
        except BlockingIOError:
            hint = "wait until the other anise, luet or farm has ended"
            raise error("locked", "another process is changing this root", hint=hint, transient=True) from None
        yield
    finally:
        os.close(fd)
