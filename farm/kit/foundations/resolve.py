# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kit takes which package of which overlay. Pure: what the overlays have is asked of an `Inventory`.

Once a package is in a kit, no later kit takes it. Matches of a kit become effective at the next kit only, so several
branches of one kit may hold the same package. Globs and regular expressions count as a whole: what one would have
taken is never taken by a later kit, so that packages that are newer than a kit's snapshot do not turn up elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from farm.kit.foundations.model import NOKIT, Foundations, Kit, Overlay, Release
from farm.kit.foundations.packageset import EVERYTHING, PackageSet, Rule
from farm.spec.problem import FarmError, Problem, error


class Inventory(Protocol):
    """What overlays hold."""

    def packages(self, overlay: Overlay) -> Collection[str]:
        """The packages (``category/name``) of an overlay at its commit."""

    def inheriting(self, overlay: Overlay, eclass: str, categories: Collection[str]) -> Collection[str]:
        """Packages with an ebuild that inherits an eclass; no categories: of all."""

    def needed(self, overlay: Overlay, catpkg: str) -> Collection[str]:
        """What a package depends on, in any version and with any USE flag."""

    def maintained(self, overlay: Overlay, mail: str, categories: Collection[str]) -> Collection[str]:
        """Packages of a maintainer."""


class Fixups(Protocol):
    """What the fixups of a kit's branch hold."""

    def packages(self, kit: Kit) -> Collection[str]:
        """The packages that are put into a branch of a kit whatever its sources say."""


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """Where a package of a kit comes from: ``overlay`` None is a fixup; ``name`` is what it is called there."""

    overlay: Overlay | None
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """The packages of one branch of a kit, by the name they have in it."""

    kit: Kit
    packages: Mapping[str, Taken]


class Matches:
    """What earlier kits took (CatPkgMatchLogger of merge-scripts)."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._rules: list[Rule] = []
        self._new_names: set[str] = set()
        self._new_rules: list[Rule] = []
        self.seen: set[str] = set()

    def has(self, catpkg: str) -> bool:
        """Whether an earlier kit took a package, or would have."""
        return catpkg in self._names or any(rule.claims(catpkg) for rule in self._rules)

    def record(self, names: Iterable[str]) -> None:
        """Notes packages of the kit under way."""
        self._new_names.update(names)

    def record_rules(self, rules: Iterable[Rule]) -> None:
        """Notes globs and regular expressions of the kit under way."""
        self._new_rules += [rule for rule in rules if rule.kind in ("glob", "regex") and rule not in self._new_rules]

    def next_kit(self) -> None:
        """From now on the kit that was under way is an earlier one."""
        self._names |= self._new_names
        self._rules += self._new_rules
        self._new_names, self._new_rules, self.seen = set(), [], set()


def resolve(
    foundations: Foundations,
    release: Release,
    sets: Mapping[str, PackageSet],
    inventory: Inventory,
    fixups: Fixups,
) -> list[Content]:
    """The packages of every generated kit of a release, in the release's order. ``sets``: kit → its package set.

    ``nokit`` comes last, wherever it stands. FarmError ``no-package-set`` with all kits that have none.
    """
    generated = [kit for kit in release.kits if kit.generated]
    _check_sets(generated, sets)
    ordered = sorted(generated, key=lambda kit: kit.name == NOKIT)
    matches = Matches()
    found: dict[tuple[str, str], Content] = {}
    before = ""
    for kit in ordered:
        if before and kit.name != before:
            matches.next_kit()
        before = kit.name
        rules = sets.get(kit.name, EVERYTHING)
        found[kit.name, kit.branch] = _Filling(foundations, kit, rules, inventory, matches).content(fixups)
    return [found[kit.name, kit.branch] for kit in generated]


def _check_sets(kits: Sequence[Kit], sets: Mapping[str, PackageSet]) -> None:
    missing = {kit.name: kit for kit in kits if kit.name not in sets and kit.name != NOKIT}
    if missing:
        hint = "write package-sets/global/{}-packages, or give the folder with --package-sets"
        raise FarmError(
            [Problem("no-package-set", f"{name} has no package set", kit.place, hint.format(name))
             for name, kit in missing.items()]
        )  # fmt: skip


class _Filling:
    """One branch of a kit under way."""

    def __init__(
        self, foundations: Foundations, kit: Kit, rules: PackageSet, inventory: Inventory, matches: Matches
    ) -> None:
        self.foundations = foundations
        self.kit = kit
        self.set = rules
        self.inventory = inventory
        self.matches = matches
        self.taken: dict[str, Taken] = {}

    def content(self, fixups: Fixups) -> Content:
        for name in sorted(fixups.packages(self.kit)):
            self.taken[name] = Taken(None, name)
        fixed = set(self.taken)
        for overlay in self.foundations.sources[self.kit.source]:
            self._from(overlay)
        self.matches.record({*self.taken, *(taken.name for taken in self.taken.values()), *fixed})
        self.matches.record_rules(self.set.rules)
        return Content(self.kit, dict(sorted(self.taken.items())))

    def _from(self, overlay: Overlay) -> None:
        """Takes what one overlay has and the rules want, unless something before it has it."""
        have = self.inventory.packages(overlay)
        wanted = {name for rule in self.set.rules for name in self._matching(rule, overlay, have)}
        self.matches.seen |= wanted
        for name in sorted(self.matches.seen & set(have)):
            if not self._allowed(name, overlay) or self.matches.has(name):
                continue
            called = self._moves.get(name, name)
            self.taken.setdefault(called, Taken(overlay, name))

    @property
    def _moves(self) -> dict[str, str]:
        return {rule.value: rule.target for rule in self.set.rules if rule.kind == "move"}

    def _allowed(self, name: str, overlay: Overlay) -> bool:
        if name in self.set.skip or (overlay.select is not None and name not in overlay.select):
            return False
        if name in overlay.force:
            return True
        return not any(name in self.inventory.packages(self._at(other)) for other in overlay.filter)

    def _at(self, name: str) -> Overlay:
        """An overlay as this kit's source has it."""
        stacked = self.foundations.sources[self.kit.source]
        return next((item for item in stacked if item.name == name), self.foundations.overlays[name])

    def _matching(self, rule: Rule, overlay: Overlay, have: Collection[str]) -> Collection[str]:
        match rule.kind:
            case "glob" | "regex":
                return [name for name in have if rule.claims(name)]
            case "name" | "move":
                return [rule.value] if rule.value in have else []
            case "eclass":
                return self.inventory.inheriting(overlay, rule.value, rule.categories)
            case "maintainer":
                return self.inventory.maintained(overlay, rule.value, rule.categories)
            case "depsincat":
                if rule.value not in have:
                    return []
                needed = self.inventory.needed(overlay, rule.value)
                return [n for n in needed if not rule.categories or n.partition("/")[0] in rule.categories]


def release_of(foundations: Foundations, name: str | None) -> Release:
    """A release by its name; without one, the only one there is. FarmError ``unknown-release``, ``which-release``."""
    known = ", ".join(foundations.releases)
    if name is None:
        if len(foundations.releases) == 1:
            return next(iter(foundations.releases.values()))
        raise error("which-release", f"{foundations.file.name} has several releases", hint=f"--release: {known}")
    if name not in foundations.releases:
        raise error("unknown-release", f"there is no release {name!r}", hint=f"there are: {known}")
    return foundations.releases[name]
