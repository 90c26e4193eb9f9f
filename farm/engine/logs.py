# SPDX-License-Identifier: GPL-3.0-or-later
"""Where logs lie: ``STORE/logs/RUN/NODE-ATTEMPT.log``."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

_LONGEST = 180


def log_path(store: Path, run: str, node: str, attempt: int) -> Path:
    """The log of one attempt. Characters that are no good in a file name become ``_`` (and a hash is added)."""
    name = re.sub(r"[^A-Za-z0-9._+@=:-]", "_", node)[:_LONGEST]
    if name != node:
        name += "~" + hashlib.sha256(node.encode()).hexdigest()[:8]
    return store / "logs" / run / f"{name}-{attempt}.log"


def tail(path: Path | None, lines: int = 20, most: int = 65536) -> tuple[str, ...]:
    """The last lines of a log, of at most its last ``most`` bytes. Empty when there is no such file."""
    try:
        with open(path or "/dev/null", "rb") as log:
            size = log.seek(0, 2) if path else 0
            log.seek(max(0, size - most))
            text = log.read(most).decode(errors="replace")
    except FileNotFoundError:
        return ()
    return tuple(text.splitlines()[-lines:])


def remove_logs(store: Path, run: str) -> None:
    """Removes all logs of one run."""
    shutil.rmtree(store / "logs" / run, ignore_errors=True)
