# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives the metadata of a kit's ebuilds; what is known is not found out again.

In this order: what this run knows, the farm's own cache, the ``metadata/md5-cache`` of the kit, then of the other kits
at hand (the same ebuild is in many branches, and not all of them ship a cache), portage. An entry counts
only when its md5 is the ebuild's and the md5 of each eclass is that of the eclass which holds here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from farm.kit.atom import Cpv
from farm.kit.ebuilds import Kit, md5
from farm.kit.metadata.cache import MetadataCache
from farm.kit.metadata.eclasses import Eclasses
from farm.kit.metadata.entry import Metadata, parse_metadata
from farm.kit.metadata.scan import Scanned, scan

AT_A_TIME = 500
"""Ebuilds in one run of portage: what was found out is kept after each."""


class MetadataReader:
    """Reads metadata for one run. ``others``: kits whose eclasses are at hand, in order."""

    def __init__(self, cache: Path, others: Sequence[Kit] = ()) -> None:
        self.others = list(others)
        self.scanned = 0
        """How many ebuilds portage was run for."""
        self._cache = MetadataCache(cache)
        self._eclasses: dict[int, tuple[Kit, Eclasses]] = {}
        self._known: dict[tuple[int, Cpv], Metadata] = {}

    def __enter__(self) -> MetadataReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._cache.close()

    def read(self, kit: Kit, ebuilds: Iterable[Cpv]) -> Scanned:
        """The metadata of some ebuilds of a kit. FarmError as `farm.kit.metadata.scan.scan`."""
        asked = list(dict.fromkeys(ebuilds))
        found = {cpv: self._known[id(kit), cpv] for cpv in asked if (id(kit), cpv) in self._known}
        contents = {cpv: kit.tree.read(cpv.path) for cpv in asked if cpv not in found}
        eclasses = self._eclasses_of(kit)
        found |= self._from_caches(kit, contents, eclasses)
        missing = {cpv: content for cpv, content in contents.items() if cpv not in found}
        failed: dict[Cpv, str] = {}
        names = sorted(missing)
        for start in range(0, len(names), AT_A_TIME):
            part = {cpv: missing[cpv] for cpv in names[start : start + AT_A_TIME]}
            done = scan(part, eclasses.contents)
            self.scanned += len(part)
            self._cache.remember((str(cpv), entry) for cpv, entry in done.found.items())
            found |= done.found
            failed |= done.failed
        self._known |= {(id(kit), cpv): entry for cpv, entry in found.items()}
        return Scanned({cpv: found[cpv] for cpv in asked if cpv in found}, failed)

    def _eclasses_of(self, kit: Kit) -> Eclasses:
        if id(kit) not in self._eclasses:
            self._eclasses[id(kit)] = kit, Eclasses(kit, self.others)
        return self._eclasses[id(kit)][1]

    def _from_caches(self, kit: Kit, contents: Mapping[Cpv, bytes], eclasses: Eclasses) -> dict[Cpv, Metadata]:
        sums = {str(cpv): md5(content) for cpv, content in contents.items()}
        known = self._cache.look_up(sums)
        found: dict[Cpv, Metadata] = {}
        learnt: list[tuple[str, Metadata]] = []
        for cpv in contents:
            name = str(cpv)
            entry = next((e for e in known.get(name, ()) if eclasses.agree(e.eclasses)), None)
            if entry is None:
                shipped = (_shipped(one, cpv, sums[name]) for one in (kit, *self.others))
                entry = next((e for e in shipped if e and eclasses.agree(e.eclasses)), None)
                learnt += [(name, entry)] if entry else []
            if entry:
                found[cpv] = entry
        self._cache.remember(learnt)
        return found


def _shipped(kit: Kit, cpv: Cpv, md5: str) -> Metadata | None:
    """The entry of the kit's own metadata/md5-cache, if it is of this very ebuild."""
    path = f"metadata/md5-cache/{cpv}"
    if path not in kit.tree.entries:
        return None
    entry = parse_metadata(kit.tree.read(path).decode("utf-8", "replace"))
    return entry if entry and entry.md5 == md5 and entry.keys.get("EAPI") else None
