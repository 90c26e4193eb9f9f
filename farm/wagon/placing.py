# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts files into a wagon's folder so that nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def write_file(target: Path, content: bytes, *, durable: bool = True) -> None:
    """Replaces a file in one step; ``durable``: by one that is on disk."""
    with _part(target) as part:
        with open(part, "xb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(target)


def copy_file(source: Path, target: Path) -> None:
    """Replaces ``target`` in one step by a copy of ``source``.

    It is no link, because what others do to ``source`` must not show in what is published.
    """
    with _part(target) as part:
        shutil.copyfile(source, part)
        part.replace(target)


def sync_folder(folder: Path) -> None:
    """Has the names in a folder on disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


PART = ".part-"
"""What names of files in the making begin with."""


@contextlib.contextmanager
def _part(target: Path) -> Iterator[Path]:
    part = target.with_name(f"{PART}{os.getpid()}-{os.urandom(4).hex()}")
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)
