# SPDX-License-Identifier: GPL-3.0-or-later
"""Temporary names beside the files that they become, and what killed processes left of them."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import threading
import time
from collections.abc import Iterable
from pathlib import Path

HOUR = 3600.0
_PART = re.compile(r"\..+\.[0-9]+\.[0-9]+\.part")
_OURS = re.compile(r"\.[0-9]+(\.[0-9]+\.part)?")
"""The ends of `part_of` and of `farm.spec.whole.write_whole`."""


def part_of(file: Path) -> Path:
    """A name that only this thread uses."""
    return file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}.part")


def sweep_parts(folder: Path, age: float = HOUR) -> None:
    """Removes from a folder what was left of attempts to write any file in it, if it is ``age`` seconds old."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        _remove([Path(entry) for entry in entries if _PART.fullmatch(entry.name)], age)


def forget_parts(file: Path, age: float = HOUR) -> None:
    """Removes what was left beside ``file`` of earlier attempts to write it, if it is ``age`` seconds old."""
    beside = file.parent.glob(f".{glob.escape(file.name)}.*")
    _remove([left for left in beside if _OURS.fullmatch(left.name.removeprefix(f".{file.name}"))], age)


def _remove(parts: Iterable[Path], age: float) -> None:
    before = time.time() - age
    for part in parts:
        with contextlib.suppress(FileNotFoundError):
            if part.lstat().st_mtime <= before:
                part.unlink()
