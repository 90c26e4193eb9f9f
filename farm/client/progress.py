# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transaction tells while it works, for whoever shows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

Phase = Literal["download", "unpack", "switch", "finalize", "output", "recover"]


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """``subject``: the package (``category/name-version``), or nothing for all.

    ``done`` of ``total`` are bytes in ``download`` (total 0: not known yet), and packages, steps and scripts else.
    ``text`` is a line that a finalizer wrote (``output``), or what was mended (``recover``).
    """

    phase: Phase
    subject: str = ""
    done: int = 0
    total: int = 0
    text: str = ""


Report = Callable[[Progress], None]


def nobody(progress: Progress) -> None:
    """Shows nothing."""
