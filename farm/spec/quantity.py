# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and durations as people write them: ``512M``, ``2G``, ``1h30m``, ``90s``, plain numbers."""

from __future__ import annotations

import re

from farm.spec.problem import error

SIZE = r"[0-9]+(\.[0-9]+)?([kKMGT](i?B)?|B)?"
"""What `parse_size` takes, as a regular expression for the schemas."""
DURATION = r"([0-9]+(\.[0-9]+)?(d|h|m|s|min|ms))+|[0-9]+(\.[0-9]+)?"
"""What `parse_duration` takes."""

MOST = 1 << 63
"""Sizes are less than this: what a file system or the kernel can count."""

_SIZE = re.compile(SIZE)
LONGEST = 3650 * 86400.0
"""Seconds: longer ones are a mistake, and clocks of the system do not take them."""

_DURATION = re.compile(DURATION)
_PART = re.compile(r"([0-9.]+)([a-z]*)")
_BYTES = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def parse_size(value: str | int | float) -> int:
    """Bytes. K, M, G and T are powers of 1024. FarmError ``bad-size`` for anything else."""
    text = str(value).strip()
    if not _SIZE.fullmatch(text):
        raise error("bad-size", f"{text!r} is no size", hint="write a number of bytes, or 512M, 2G, 1.5T")
    number = re.match(r"[0-9.]+", text)
    assert number is not None
    unit = text[number.end() :].removesuffix("iB").removesuffix("B") if number.end() < len(text) else ""
    factor = _BYTES[unit.upper()]
    plain = len(number[0]) < 20
    size = MOST if not plain else int(float(number[0]) * factor) if "." in number[0] else int(number[0]) * factor
    if size >= MOST:
        raise error("bad-size", f"{text[:40]} is too large", hint="the most is 8388607T")
    return size


def parse_duration(value: str | int | float) -> float:
    """Seconds. FarmError ``bad-duration`` for anything that is not like 90, 90s, 1h30m or 2d."""
    text = str(value).strip()
    if not _DURATION.fullmatch(text):
        raise error("bad-duration", f"{text!r} is no duration", hint="write seconds, or 90s, 10m, 1h30m, 2d")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    if seconds > LONGEST:
        raise error("bad-duration", f"{text[:40]} is too long", hint="the longest is 3650d")
    return seconds


def size_text(count: float) -> str:
    """Bytes, as `3.4 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
