# SPDX-License-Identifier: GPL-3.0-or-later
"""Block devices as /sys and /proc tell of them: what a card is, and whether anything uses it.

Source: Linux, Documentation/ABI/testing/sysfs-block, sysfs-class-block; proc(5), mountinfo and swaps.
"""

from __future__ import annotations

import dataclasses
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from farm.spec.problem import Problem, error
from farm.spec.scan import printable

SYS = Path("/sys")
PROC = Path("/proc")


@dataclasses.dataclass(frozen=True, slots=True)
class Device:
    """A whole disk. ``size`` in bytes; ``holds`` what its partitions are; ``used`` why nothing may be written to it.

    ``locked``: it is read-only, as a card is whose switch says so.
    """

    path: Path
    size: int
    model: str
    removable: bool
    holds: tuple[str, ...]
    used: tuple[str, ...]
    locked: bool = False


def is_device(path: Path) -> bool:
    """Whether a path is a block device."""
    return path.exists() and stat.S_ISBLK(path.stat().st_mode)


def check_kind(path: Path) -> None:
    """FarmError ``no-image`` for what cannot hold one: no file, no block device. Opens nothing, never waits."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
        raise error("no-image", f"{printable(str(path))} is neither a file nor a block device")


def examine(path: Path, sys: Path = SYS, proc: Path = PROC, number: tuple[int, int] | None = None) -> Device:
    """What a block device is. FarmError ``not-a-disk`` for a partition or what the kernel does not list.

    ``number`` (major, minor), ``sys`` and ``proc`` are for trees that stand in for the kernel's.
    """
    major, minor = number or _number(path)
    place = (sys / "dev/block" / f"{major}:{minor}").resolve()
    if not place.is_dir():
        raise error("not-a-disk", f"the kernel lists no block device {path}")
    if (place / "partition").exists():
        whole = place.parent.name
        raise error("not-a-disk", f"{path} is a partition", hint=f"write to the whole disk: /dev/{whole}")
    parts = [place, *sorted(p.parent for p in place.glob("*/partition"))]
    model = " ".join(filter(None, (_text(place / "device" / name) for name in ("vendor", "model", "name"))))
    return Device(
        path,
        int(_text(place / "size") or 0) * 512,
        model or place.name,
        _text(place / "removable") == "1",
        tuple(f"{part.name}: {int(_text(part / 'size') or 0) // 2048} MiB" for part in parts[1:]),
        tuple(_uses(parts, proc)),
        _text(place / "ro") == "1",
    )


def refuse(device: Device, size: int) -> list[Problem]:
    """Why an image of ``size`` bytes must not be written to a device; empty when it may be."""
    problems = [
        Problem("device-in-use", f"{device.path} is in use: {use}", None, "unmount it; a system disk is never written")
        for use in device.used
    ]
    if device.locked:
        hint = "move the switch at the card's side away from LOCK"
        problems.append(Problem("device-read-only", f"{device.path} is read-only", None, hint))
    if size > device.size:
        message = f"{device.path} has {device.size >> 20} MiB, the image {size >> 20} MiB"
        problems.append(Problem("device-too-small", message, None, "use a larger card"))
    return problems


def _number(path: Path) -> tuple[int, int]:
    device = path.stat().st_rdev
    return os.major(device), os.minor(device)


def _uses(parts: list[Path], proc: Path) -> Iterator[str]:
    """Mounts, swap, and what is built on top (LVM, RAID, encryption) of a disk and its partitions."""
    numbers = {_text(part / "dev"): part.name for part in parts}
    for line in _text(proc / "self/mountinfo").splitlines():
        words = line.split()
        if len(words) > 4 and words[2] in numbers:
            yield f"{numbers[words[2]]} is mounted at {words[4]}"
    names = {part.name for part in parts}
    for line in _text(proc / "swaps").splitlines()[1:]:
        if Path(line.split()[0]).name in names:
            yield f"{Path(line.split()[0]).name} is swap"
    for part in parts:
        for holder in sorted(part.glob("holders/*")):
            yield f"{part.name} is part of {holder.name}"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
