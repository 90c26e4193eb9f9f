# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between two wagons, or two revisions of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from farm.spec.model import PackageId
from farm.wagon.reading import Entry, Wagon


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """``upgraded``: one version of a package is gone and another has come. ``rebuilt``: other bytes, same version.

    ``redefined``: the same bytes with other metadata (requirements, labels, finalizer, …): which keys.
    """

    added: tuple[PackageId, ...]
    removed: tuple[PackageId, ...]
    upgraded: tuple[tuple[PackageId, PackageId], ...]
    rebuilt: tuple[PackageId, ...]
    redefined: tuple[tuple[PackageId, tuple[str, ...]], ...]
    repository: tuple[str, ...]

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in dataclasses.fields(self))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "added": [str(id) for id in self.added],
            "removed": [str(id) for id in self.removed],
            "upgraded": [{"from": str(old), "to": str(new)} for old, new in self.upgraded],
            "rebuilt": [str(id) for id in self.rebuilt],
            "redefined": [{"package": str(id), "keys": list(keys)} for id, keys in self.redefined],
            "repository": list(self.repository),
        }


def compare(old: Wagon, new: Wagon) -> Difference:
    """What changed from ``old`` to ``new``."""
    gone, come = _only(old, new), _only(new, old)
    upgraded = tuple(
        (gone[atom][0], come[atom][0]) for atom in sorted(gone.keys() & come.keys()) if _single(gone[atom], come[atom])
    )
    paired = {id for pair in upgraded for id in pair}
    both = [(id, old.packages[id], new.packages[id]) for id in sorted(old.packages.keys() & new.packages.keys())]
    return Difference(
        tuple(sorted(id for ids in come.values() for id in ids if id not in paired)),
        tuple(sorted(id for ids in gone.values() for id in ids if id not in paired)),
        upgraded,
        tuple(id for id, was, now in both if was.metadata.sha256 != now.metadata.sha256),
        tuple((id, keys) for id, was, now in both if (keys := _changed(was, now))),
        tuple(key for key in ("name", "description", "urls", "type", "priority") if _differs(old, new, key)),
    )


def _only(wagon: Wagon, other: Wagon) -> dict[str, list[PackageId]]:
    found: dict[str, list[PackageId]] = {}
    for id in sorted(wagon.packages.keys() - other.packages.keys()):
        found.setdefault(id.atom, []).append(id)
    return found


def _single(*lists: Iterable[PackageId]) -> bool:
    return all(len(list(ids)) == 1 for ids in lists)


def _changed(was: Entry, now: Entry) -> tuple[str, ...]:
    old, new = was.metadata.runtime, now.metadata.runtime
    keys = sorted(key for key in old.keys() | new.keys() if (old.get(key) or None) != (new.get(key) or None))
    return tuple(keys) + (("finalizer",) if was.finalizer_text != now.finalizer_text else ())


def _differs(old: Wagon, new: Wagon, key: str) -> bool:
    return bool(getattr(old.repository, key) != getattr(new.repository, key))
