# SPDX-License-Identifier: GPL-3.0-or-later
"""Byte ranges of HTTP requests. Source: RFC 9110, 14.1."""

from __future__ import annotations

import re
from typing import Literal

_RANGE = re.compile(r"bytes\s*=\s*([0-9]*)\s*-\s*([0-9]*)\s*", re.IGNORECASE)


def parse_range(header: str, size: int) -> tuple[int, int] | Literal["unsatisfiable"] | None:
    """First byte and the byte after the last. None: the whole file is to be sent (several ranges, or none at all)."""
    match = _RANGE.fullmatch(header)
    if match is None or not (match.group(1) or match.group(2)):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last[:20])), size
    else:
        start = int(first[:20])
        end = min(int(last[:20]) + 1, size) if last else size
        if last and int(last[:20]) < start:
            return None
    return (start, end) if start < size and start < end else "unsatisfiable"
