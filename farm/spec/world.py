# SPDX-License-Identifier: GPL-3.0-or-later
"""What the search sees of packages: numbers, what each wants, and what excludes what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

GOALS = -1
"""In place of a package's number: the one that wants the goals."""

Want = tuple[int, ...]
Origin = tuple[Literal["want", "rivals"], int, int]
"""Why a clause holds: package ``a`` has its ``b``-th want, or packages ``a`` and ``b`` exclude each other."""


class World(Protocol):
    """What the search has to know. Answers must never change."""

    def wants(self, number: int) -> Sequence[Want | None]:
        """What a package (or `GOALS`) needs: one of each of these, the best first. None: nothing."""

    def rivals(self, number: int) -> Iterable[int]:
        """What cannot be chosen together with a package; other versions of it are among them."""

    def atom(self, number: int) -> object:
        """A package's name: packages with the same name are rivals."""
