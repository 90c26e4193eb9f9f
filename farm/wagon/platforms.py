# SPDX-License-Identifier: GPL-3.0-or-later
"""For which platform a wagon is: what was asked for, what it was before, or what all of its packages say.

A wagon is of one platform, as packages of two platforms have the same file names.
"""

from __future__ import annotations

from collections.abc import Sequence

from farm.spec.platform import short
from farm.spec.problem import FarmError, Problem
from farm.wagon.inputs import Stone


def platform_of(stones: Sequence[Stone], asked: str | None, before: str) -> str:
    """The wagon's platform; empty when nothing tells. A package that says nothing goes into any wagon.

    FarmError ``foreign-package`` for each package of another platform.
    """
    stated = sorted({stone.metadata.platform for stone in stones} - {""})
    platform = asked or before or (stated[0] if stated else "")
    foreign = [stone for stone in stones if stone.metadata.platform not in ("", platform)]
    if foreign:
        raise FarmError([_foreign(stone, platform) for stone in foreign])
    return platform


def named_for(name: str, platform: str) -> str:
    """The name of a wagon that is for one platform: it ends with it (``mfs-arm64``)."""
    ending = f"-{short(platform)}"
    return name if not platform or name.endswith(ending) else name + ending


def _foreign(stone: Stone, platform: str) -> Problem:
    message = f"{stone.id} is for {stone.metadata.platform}, the wagon for {platform}"
    hint = "make a wagon of its own for each platform (--platform), out of a folder of its own"
    return Problem("foreign-package", message, hint=hint, package=str(stone.id))
