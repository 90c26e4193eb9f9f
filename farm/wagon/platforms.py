# SPDX-License-Identifier: GPL-3.0-or-later
"""For which platform a wagon is: what was asked for, what it was before, or what all of its packages say.

A wagon is of one platform, as packages of two platforms have the same file names.
"""

from __future__ import annotations

from collections.abc import Sequence

from farm.spec.platform import short
from farm.spec.problem import FarmError, Problem
from farm.wagon.inputs import PROVENANCE, Stone
from farm.wagon.provenance import platform_told


def platform_of(stones: Sequence[Stone], asked: str | None, before: str) -> str:
    """The wagon's platform; empty when nothing tells.

    A package whose metadata says nothing goes into any wagon, unless its provenance tells of another platform and
    nobody ``asked`` for this one. FarmError ``foreign-package`` for each package of another platform.
    """
    stated = sorted({stone.metadata.platform for stone in stones} - {""})
    platform = asked or before or (stated[0] if stated else "")
    if not platform:
        return ""
    made_for = [stone.metadata.platform or ("" if asked else _built_for(stone)) for stone in stones]
    foreign = [(stone, other) for stone, other in zip(stones, made_for, strict=True) if other not in ("", platform)]
    if foreign:
        raise FarmError([_foreign(stone, other, platform) for stone, other in foreign])
    return platform


def _built_for(stone: Stone) -> str:
    """What its provenance tells; nothing where it has none."""
    path = stone.companions.get(PROVENANCE)
    try:
        return platform_told(path.read_bytes()) or "" if path else ""
    except OSError:
        return ""


def named_for(name: str, platform: str) -> str:
    """The name of a wagon that is for one platform: it ends with it (``mfs-arm64``)."""
    ending = f"-{short(platform)}"
    return name if not platform or name.endswith(ending) else name + ending


def _foreign(stone: Stone, made_for: str, platform: str) -> Problem:
    message = f"{stone.id} is for {made_for}, the wagon for {platform}"
    hint = "make a wagon of its own for each platform (--platform), out of a folder of its own"
    return Problem("foreign-package", message, hint=hint, package=str(stone.id))
