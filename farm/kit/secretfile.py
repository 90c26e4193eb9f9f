# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that stand in files: tokens, addresses of webhooks. One way to read them all; none is ever in a message."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from farm.spec.problem import Place, error

LONGEST = 4096
"""Bytes of the first line at most."""

_FOR_OTHERS = stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP


def read_secret(file: Path | str, *, place: Place | None = None) -> str:
    """The first line of a file, without the spaces and the end of line around it; never empty.

    A regular file may be read by its owner and group alone, and be written by its owner alone; pipes are read as they
    are. ``place``: where the file is named. FarmError ``no-secret``, ``open-secret``, ``bad-secret``.
    """
    path = Path(file).expanduser()
    try:
        with open(path, "rb") as stream:
            _refuse_open(path, os.fstat(stream.fileno()), place)
            line = stream.readline(LONGEST + 1)
    except OSError as failure:
        hint = "name a file that can be read"
        raise error("no-secret", f"{path}: {failure.strerror}", place=place, hint=hint) from failure
    return _checked(path, line, place)


def _refuse_open(path: Path, info: os.stat_result, place: Place | None) -> None:
    if stat.S_ISREG(info.st_mode) and info.st_mode & _FOR_OTHERS:
        what = f"{path} holds a secret and has mode {stat.S_IMODE(info.st_mode):04o}: others may read or change it"
        hint = f"chmod 600 {path}, and take a new secret if others may have read this one"
        raise error("open-secret", what, place=place, hint=hint)


def _checked(path: Path, line: bytes, place: Place | None) -> str:
    hint = f"the first line has to be the secret alone, of at most {LONGEST} printable ASCII characters"
    text = line.decode("ascii", "replace").strip()
    if not text:
        raise error("no-secret", f"{path}: the first line is empty", place=place, hint=hint)
    if len(line) > LONGEST or not all("!" <= letter <= "~" for letter in text):
        raise error("bad-secret", f"{path}: the first line is no token and no address", place=place, hint=hint)
    return text
