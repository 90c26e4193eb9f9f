# SPDX-License-Identifier: GPL-3.0-or-later
"""All packages that may be chosen, numbered, and which of them fit a requirement.

Numbers count in the order of name, category, version: sets of packages can then be plain integers (one bit
each), and walking such a set gives the order in which packages are printed.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from farm.spec.model import PackageId, Requirement
from farm.spec.problem import FarmError, Problem
from farm.spec.selector import Selector
from farm.spec.version import Version

if TYPE_CHECKING:
    from farm.spec.closure import Closures


class Resolvable(Protocol):
    """What the solver has to know of a package."""

    @property
    def id(self) -> PackageId:
        """Who it is."""

    @property
    def requires(self) -> Sequence[Requirement]:
        """What it needs, all of it."""

    @property
    def provides(self) -> Sequence[Requirement]:
        """What else it stands in for. A version that is a selector, or empty, fits every requirement."""

    @property
    def conflicts(self) -> Sequence[Requirement]:
        """What it cannot be together with. It never conflicts with itself."""


P = TypeVar("P", bound=Resolvable)
Atom = tuple[str, str]
Relation = Callable[[P], Sequence[Requirement]]


class Index(Generic[P]):
    """Packages to choose from. ``provides`` and ``conflicts`` replace the attributes of these names.

    Packages whose version cannot be read are left out and named in ``problems``; of two packages with the
    same identity the first is taken. An index is never changed: what it finds out, it remembers.
    """

    def __init__(
        self,
        packages: Iterable[P],
        *,
        provides: Relation[P] = lambda package: package.provides,
        conflicts: Relation[P] = lambda package: package.conflicts,
    ) -> None:
        readable, self.problems = _readable(packages)
        ordered = sorted(readable, key=lambda at: (at[0].id.name, at[0].id.category, at[1], at[1].text))
        self.packages: tuple[P, ...] = tuple(package for package, _ in ordered)
        self.versions: tuple[Version, ...] = tuple(version for _, version in ordered)
        self.ids: tuple[PackageId, ...] = tuple(package.id for package in self.packages)
        self.number: dict[PackageId, int] = {identity: n for n, identity in enumerate(self.ids)}
        self.compiled: dict[Any, Closures[P]] = {}
        self._real: dict[Atom, tuple[int, ...]] = _by_atom(self.packages)
        self._provided = self._offers(provides)
        self._fitting: dict[Requirement, tuple[int, ...]] = {}
        self._similar: dict[Atom, tuple[str, ...]] = {}
        self._foes = self._enmities(conflicts)
        self._rivals: dict[int, frozenset[int]] = {}

    def atom(self, number: int) -> Atom:
        """Category and name of a package."""
        identity = self.packages[number].id
        return identity.category, identity.name

    def fitting(self, requirement: Requirement) -> tuple[int, ...]:
        """Numbers of what satisfies a requirement, best first.

        Packages of that name by version, highest first; then those that provide it by the version provided,
        highest first, and by name, category and highest own version. A bad selector is satisfied by nothing.
        """
        found = self._fitting.get(requirement)
        if found is None:
            found = self._fitting[requirement] = self._fit(requirement)
        return found

    def candidates(self, requirement: Requirement) -> tuple[P, ...]:
        """What satisfies a requirement, best first (see `fitting`)."""
        return tuple(self.packages[n] for n in self.fitting(requirement))

    def named(self, category: str, name: str) -> tuple[int, ...]:
        """Numbers of all that is called so, highest version first, and then of all that provides it."""
        offers = (n for _, n in self._provided.get((category, name), ()))
        return tuple(dict.fromkeys((*self._real.get((category, name), ()), *offers)))

    def providers(self, category: str, name: str) -> tuple[P, ...]:
        """All packages called so, highest version first, and then all that provide it."""
        return tuple(self.packages[n] for n in self.named(category, name))

    def rivals(self, number: int) -> frozenset[int]:
        """What cannot be chosen together with a package: its other versions, and what it conflicts with."""
        found = self._rivals.get(number)
        if found is None:
            foes = self._foes.get(number, frozenset())
            found = self._rivals[number] = foes.union(self._real[self.atom(number)]) - {number}
        return found

    def similar(self, category: str, name: str) -> tuple[str, ...]:
        """Names in the index that look like this one, at most three, for a "did you mean"."""
        if (category, name) not in self._similar:
            same = [f"{c}/{n}" for c, n in self._real if n == name]
            names = [f"{c}/{n}" for c, n in self._real]
            close = difflib.get_close_matches(f"{category}/{name}", names, 3, 0.7) if not same else ()
            self._similar[category, name] = tuple((same or list(close))[:3])
        return self._similar[category, name]

    def _fit(self, requirement: Requirement) -> tuple[int, ...]:
        atom = requirement.category, requirement.name
        try:
            selector = Selector.parse(requirement.version)
        except FarmError:
            return ()
        real = [n for n in self._real.get(atom, ()) if selector.admits(self.versions[n])]
        offers = self._provided.get(atom, ())
        stands_in = [n for offered, n in offers if offered is None or selector.admits(offered)]
        return tuple(dict.fromkeys((*real, *stands_in)))

    def _offers(self, provides: Relation[P]) -> dict[Atom, list[tuple[Version | None, int]]]:
        """Who provides an atom, and as which version (None: as any), best first."""
        offers: dict[Atom, list[tuple[Version | None, int]]] = defaultdict(list)
        for n in reversed(range(len(self.packages))):
            for offer in provides(self.packages[n]):
                offers[offer.category, offer.name].append((_plain_version(offer.version), n))
        for found in offers.values():
            found.sort(key=lambda at: self.atom(at[1])[::-1])
            found.sort(key=lambda at: (at[0] is not None, at[0]), reverse=True)
        return dict(offers)

    def _enmities(self, conflicts: Relation[P]) -> dict[int, frozenset[int]]:
        foes: dict[int, set[int]] = defaultdict(set)
        for n, package in enumerate(self.packages):
            for foe in (foe for conflict in conflicts(package) for foe in self.fitting(conflict)):
                foes[n].add(foe)
                foes[foe].add(n)
        return {n: frozenset(those) for n, those in foes.items()}


def _readable(packages: Iterable[P]) -> tuple[list[tuple[P, Version]], tuple[Problem, ...]]:
    found: dict[PackageId, tuple[P, Version]] = {}
    problems: list[Problem] = []
    for package in packages:
        try:
            found.setdefault(package.id, (package, Version.parse(package.id.version)))
        except FarmError as unreadable:
            problems.extend(unreadable.problems)
    return list(found.values()), tuple(problems)


def _by_atom(packages: Sequence[Resolvable]) -> dict[Atom, tuple[int, ...]]:
    """Numbers of the packages of each name, highest version first."""
    found: dict[Atom, list[int]] = defaultdict(list)
    for n in reversed(range(len(packages))):
        found[packages[n].id.category, packages[n].id.name].append(n)
    return {atom: tuple(numbers) for atom, numbers in found.items()}


def _plain_version(text: str) -> Version | None:
    """The version that a package says it provides; None when it leaves it open (empty, or a selector)."""
    try:
        return Version.parse(text)
    except FarmError:
        return None
