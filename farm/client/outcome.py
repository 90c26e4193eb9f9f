# SPDX-License-Identifier: GPL-3.0-or-later
"""What a search chose, as a change to the root."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from farm.client.catalog import Asked
from farm.client.change import Change
from farm.client.database import Database, Installed
from farm.client.wish import Wish, in_order
from farm.spec.model import PackageId


class Outcome:
    """What the search chose, as a change."""

    def __init__(self, wish: Wish, chosen: set[int], asked: Sequence[Asked]) -> None:
        self.wish = wish
        self.chosen = chosen
        self.asked = asked
        self.index = wish.index

    def change(self, database: Database) -> Change:
        """The change, with all that is known of what goes."""
        arriving = {n for n in self.chosen if not self.index.packages[n].stays}
        order = in_order(arriving, lambda n: self.wish.below(n, self.chosen))
        roots = [next(n for n in goal if n in self.chosen) for goal in self.wish.goals[: len(self.asked)]]
        before = self._replaced(order, database)
        news = [(n, candidate) for n in order if (candidate := self.index.packages[n].candidate) is not None]
        return Change(
            install=tuple(candidate for n, candidate in news if n not in before),
            replace=tuple((before[n], candidate) for n, candidate in news if n in before),
            order=tuple(candidate.id for _, candidate in news),
            requested=frozenset(self.index.ids[n] for n in roots if n in arriving),
            present=tuple(with_files(database, {self.index.ids[n]: None for n in roots if n not in arriving})),
            reasons=self._reasons(order, roots, before),
        )

    def _replaced(self, order: Sequence[int], database: Database) -> dict[int, Installed]:
        """The installed package in whose place each that arrives comes."""
        atoms = {self.index.atom(n): n for n in order}
        there = (offer.installed for offer in self.index.packages if offer.installed is not None)
        old = {package.id: atoms[at] for package in there if (at := (package.id.category, package.id.name)) in atoms}
        return {old[package.id]: package for package in with_files(database, old)}

    def _reasons(
        self, order: Sequence[int], roots: Sequence[int], before: Mapping[int, Installed]
    ) -> dict[PackageId, str]:
        askers: dict[int, str] = {}
        for n in reversed(order):
            for below in self.wish.below(n, self.chosen):
                askers.setdefault(below, f"required by {self.index.ids[n]}")
        reasons = {}
        for n in order:
            why = "requested" if n in roots else askers.get(n, "")
            if n in before and not why:
                same = before[n].id == self.index.ids[n]
                why = "its relations have changed" if same else f"in place of {before[n].id.version}"
            reasons[self.index.ids[n]] = why
        return reasons


def with_files(database: Database, packages: Iterable[PackageId]) -> tuple[Installed, ...]:
    """What is installed of ``packages``, with their files."""
    found = (database.get(package) for package in packages)
    return tuple(package for package in found if package is not None)
