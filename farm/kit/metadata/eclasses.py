# SPDX-License-Identifier: GPL-3.0-or-later
"""Which eclass an ebuild of a kit inherits: the kit's own, else its masters', else any other kit's at hand."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

from farm.kit.ebuilds import Kit, md5
from farm.kit.tree import LINK


class Eclasses:
    """The eclasses that hold for ``kit``. ``others``: kits at hand, in the order of the specification."""

    def __init__(self, kit: Kit, others: Iterable[Kit]) -> None:
        self._stack = _stack(kit, list(others))

    @functools.cached_property
    def _homes(self) -> Mapping[str, Kit]:
        homes: dict[str, Kit] = {}
        for kit in self._stack:
            for name, entry in kit.eclasses.items():
                if entry.mode != LINK:
                    homes.setdefault(name, kit)
        return homes

    @functools.cached_property
    def contents(self) -> Mapping[str, bytes]:
        """Name → content of every eclass; sorted."""
        return {name: kit.tree.read(f"eclass/{name}.eclass") for name, kit in sorted(self._homes.items())}

    @functools.cache  # noqa: B019 - lives as long as the run
    def md5(self, name: str) -> str:
        """The md5 of an eclass; empty when there is none of the name."""
        home = self._homes.get(name)
        return md5(home.tree.read(f"eclass/{name}.eclass")) if home else ""

    def agree(self, wanted: Mapping[str, str]) -> bool:
        """Whether all of ``wanted`` (name → md5) are what they are here."""
        return all(self.md5(name) == value for name, value in wanted.items())


def _stack(kit: Kit, others: Sequence[Kit]) -> list[Kit]:
    masters = [k for name in reversed(kit.masters) for k in others if name in (k.name, k.repo_name) and k is not kit]
    return list({id(k): k for k in (kit, *masters, *others)}.values())
