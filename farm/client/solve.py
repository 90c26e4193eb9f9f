# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to change in a root so that a wish comes true, or why it cannot.

The rules (docs/client.md tells them to users): what is installed stays as it is where that is possible, and never goes;
of what is new, the highest version that fits, and of one version the repository earlier in priority. An upgrade
prefers the highest version of everything. No answer depends on chance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from farm.client.catalog import Asked, Catalog, names_of, understand
from farm.client.change import Candidate, Change
from farm.client.database import Database, Installed
from farm.client.outcome import Outcome, with_files
from farm.client.wish import Offer, Order, Wish, in_order
from farm.spec.index import Index
from farm.spec.model import PackageId, Requirement
from farm.spec.problem import FarmError, Problem, error
from farm.spec.world import Want

__all__ = [
    "Candidate",
    "Change",
    "Rules",
    "find_installed",
    "plan_again",
    "plan_install",
    "plan_reinstall",
    "plan_remove",
    "plan_swap",
    "plan_upgrade",
]


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What is not to be looked at: requirements (``nodeps``), or conflicts."""

    nodeps: bool = False
    ignore_conflicts: bool = False


def plan_install(catalog: Catalog, database: Database, wanted: Sequence[str], rules: Rules = Rules()) -> Change:
    """How ``wanted`` (targets) come into the root.

    FarmError as `farm.client.catalog.understand`, ``missing-requirement``, ``unsatisfiable``.
    """
    state = _State(catalog, database.installed(files=False), rules)
    asked = _meant(wanted, catalog, state)
    return state.change(asked, database, renew=False)


def plan_upgrade(catalog: Catalog, database: Database, rules: Rules = Rules()) -> Change:
    """How everything that is installed gets its highest version, or the relations that its wagon has now."""
    return _State(catalog, database.installed(files=False), rules).change([], database, renew=True)


def plan_swap(
    catalog: Catalog, database: Database, old: Sequence[str], new: Sequence[str], rules: Rules = Rules()
) -> Change:
    """How ``new`` come into the root when ``old`` go first, without regard to who needs those."""
    there = database.installed(files=False)
    gone = {package.id for package in find_installed(there, old)}
    state = _State(catalog, [package for package in there if package.id not in gone], rules)
    asked = _meant(new, catalog, state)
    change = state.change(asked, database, renew=False)
    departing = {package.id.atom: package for package in with_files(database, sorted(gone))}
    return dataclasses.replace(
        change,
        install=tuple(one for one in change.install if one.id.atom not in departing),
        remove=tuple(one for atom, one in departing.items() if atom not in {new.id.atom for new in change.install}),
        replace=(
            *change.replace,
            *((departing[one.id.atom], one) for one in change.install if one.id.atom in departing),
        ),
        reasons={**change.reasons, **dict.fromkeys(sorted(gone), "requested")},
    )


def plan_reinstall(
    catalog: Catalog, database: Database, wanted: Sequence[str], repository: str = "", *, new: bool = False
) -> Change:
    """How packages are unpacked again, in the order given, without regard to what they need.

    With ``new``, packages of ``repository`` that need not be installed. FarmError ``not-available`` for what no
    wagon has in this version.
    """
    there = database.installed(files=False)
    if new:
        offered = [one for one in catalog.candidates if repository in ("", one.repository.name)]
        return plan_again(database, [_highest(offered, asked) for asked in _asked(offered, wanted)])
    found: list[Candidate] = []
    problems: list[Problem] = []
    for package in find_installed(there, wanted):
        candidate = catalog.get(package.id, package.repository) or catalog.get(package.id)
        if candidate is None:
            hint = "`farm anise upgrade` takes the version that there is"
            problems.append(Problem("not-available", f"no repository has {package.id}", hint=hint))
        else:
            found.append(candidate)
    if problems:
        raise FarmError(problems)
    return plan_again(database, found)


def plan_remove(database: Database, wanted: Sequence[str], *, nodeps: bool = False, force: bool = False) -> Change:
    """What goes when ``wanted`` go: all that cannot be without them, dependents first.

    With ``nodeps``, only they themselves; with ``force``, what is not installed is passed over. FarmError
    ``unknown-target``.
    """
    there = database.installed(files=False)
    targets = find_installed(there, wanted, force=force)
    index = Index([_offer(package, None, Rules()) for package in there])
    gone: dict[int, str] = {index.number[package.id]: "requested" for package in targets}
    if not nodeps:
        _cascade(index, gone)
    order = in_order(gone, lambda n: _needed(index, n))
    packages = with_files(database, [index.ids[n] for n in reversed(order)])
    return Change(remove=packages, reasons={index.ids[n]: why for n, why in gone.items()})


class _State:
    """What is installed and what may come: the index of both, and the changes that wishes make."""

    def __init__(self, catalog: Catalog, installed: Sequence[Installed], rules: Rules) -> None:
        self.catalog = catalog
        self.installed = installed
        self.rules = rules
        self.there = {package.id: package for package in installed}

    def change(self, asked: Sequence[Asked], database: Database, *, renew: bool) -> Change:
        """The change that satisfies what is asked and keeps what is installed, renewed when that is wished."""
        index = Index(self._offers(asked, renew))
        names = {(package.id.category, package.id.name) for package in self.installed}
        keep = {
            package.id: _versions(index, package.id, renew) for package in self.installed if package.id in index.number
        }
        prefer = _prefer_newest(index, names) if renew else _prefer_present(index)
        wish = Wish(
            index, [one.requirement for one in asked], keep, prefer, _only(index, asked), self.catalog.foreign_names
        )
        chosen = wish.answer()
        return Outcome(wish, chosen, asked).change(database)

    def _offers(self, asked: Sequence[Asked], renew: bool) -> list[Offer]:
        pinned = {(one.requirement.category, one.requirement.name): one.repository for one in asked if one.repository}
        found: dict[PackageId, Offer] = {}
        for candidate in self.catalog.candidates:
            wanted = pinned.get((candidate.id.category, candidate.id.name), "")
            if candidate.id not in found and wanted in ("", candidate.repository.name):
                found[candidate.id] = _offer(self.there.get(candidate.id), candidate, self.rules, renew)
        for package in self.installed:
            if package.id not in found:
                found[package.id] = _offer(package, None, self.rules)
        return list(found.values())


def _offer(installed: Installed | None, candidate: Candidate | None, rules: Rules, renew: bool = False) -> Offer:
    new = installed is None or (renew and candidate is not None and _relations(installed) != _relations(candidate))
    source = candidate if new else installed
    assert source is not None, "an offer is of something"
    requires = () if rules.nodeps else source.requires
    conflicts = () if rules.ignore_conflicts else source.conflicts
    return Offer(source.id, requires, conflicts, source.provides, installed, candidate, new)


def _relations(package: Installed | Candidate) -> tuple[list[str], ...]:
    """What anise compares of two packages of one version to see whether one is an upgrade of the other."""
    return tuple(sorted(map(str, group)) for group in (package.requires, package.conflicts, package.provides))


def _versions(index: Index[Offer], package: PackageId, renew: bool) -> Want:
    """What may stand for an installed package: itself first, or with ``renew`` the highest version first."""
    atom = (package.category, package.name)
    numbers = tuple(n for n in index.named(*atom) if index.atom(n) == atom)
    here = index.number[package]
    return numbers if renew else (here, *(n for n in numbers if n != here))


def _prefer_present(index: Index[Offer]) -> Order:
    return lambda n: (not index.packages[n].stays,)


def _prefer_newest(index: Index[Offer], names: set[tuple[str, str]]) -> Order:
    return lambda n: (index.atom(n) not in names,)


def _only(index: Index[Offer], asked: Sequence[Asked]) -> dict[int, frozenset[int]]:
    """For each place in ``asked``, what may satisfy it: packages of that name where there are, of that repository."""
    found = {}
    for at, one in enumerate(asked):
        atom = (one.requirement.category, one.requirement.name)
        fitting = index.fitting(one.requirement)
        real = [n for n in fitting if index.atom(n) == atom]
        of = [n for n in (real or fitting) if one.repository in ("", _repository(index.packages[n]))]
        found[at] = frozenset(of)
    return found


def _repository(offer: Offer) -> str:
    if offer.stays and offer.installed is not None:
        return offer.installed.repository
    return offer.candidate.repository.name if offer.candidate else ""


def _meant(texts: Sequence[str], catalog: Catalog, state: _State) -> list[Asked]:
    known = names_of((*catalog.candidates, *state.installed))
    return understand(texts, known, "in the repositories", catalog.masked, catalog.foreign)


def _asked(offered: Iterable[Candidate], wanted: Sequence[str]) -> list[Asked]:
    return understand(wanted, names_of(offered), "in the repository")


def _highest(offered: Sequence[Candidate], asked: Asked) -> Candidate:
    index = Index([_offer(None, candidate, Rules()) for candidate in offered])
    fitting = index.candidates(asked.requirement)
    if not fitting or fitting[0].candidate is None:
        raise error("not-available", f"no version of {asked.text!r} fits")
    return fitting[0].candidate


def plan_again(database: Database, candidates: Sequence[Candidate], why: str = "requested") -> Change:
    """A change that puts packages into the root, each in the place of what has its name."""
    atoms = {candidate.id.atom: candidate for candidate in candidates}
    names = [package.id for package in database.installed(files=False) if package.id.atom in atoms]
    there = {package.id.atom: package for package in with_files(database, names)}
    return Change(
        install=tuple(one for one in candidates if one.id.atom not in there),
        replace=tuple((there[one.id.atom], one) for one in candidates if one.id.atom in there),
        order=tuple(one.id for one in candidates),
        requested=frozenset(one.id for one in candidates if one.id.atom not in there or there[one.id.atom].requested),
        reasons={one.id: why for one in candidates},
    )


def find_installed(there: Sequence[Installed], texts: Sequence[str], *, force: bool = False) -> list[Installed]:
    """The installed packages that targets mean. FarmError ``unknown-target``, unless ``force``."""
    index = Index([_offer(package, None, Rules()) for package in there])
    known = [Requirement(package.id.category, package.id.name) for package in there]
    found: dict[PackageId, Installed] = {}
    problems: list[Problem] = []
    for text in texts:
        try:
            asked = understand([text], known, "installed")[0]
            atom = (asked.requirement.category, asked.requirement.name)
            fitting = [n for n in index.fitting(asked.requirement) if index.atom(n) == atom]
            if not fitting:
                versions = ", ".join(str(index.ids[n]) for n in index.named(*atom))
                raise error("unknown-target", f"no version of {text!r} fits", hint=f"installed is {versions}")
            found |= {index.ids[n]: package for n in fitting if (package := index.packages[n].installed) is not None}
        except FarmError as failure:
            problems += failure.problems
    if problems and not force:
        raise FarmError(problems)
    return list(found.values())


def _needed(index: Index[Offer], number: int) -> list[int]:
    """Everything installed that satisfies any requirement of a package."""
    return [n for one in index.packages[number].requires for n in index.fitting(one)]


def _cascade(index: Index[Offer], gone: dict[int, str]) -> None:
    """Adds to ``gone`` all that loses the last package that satisfies one of its requirements."""
    dependents: dict[int, list[tuple[int, Want]]] = {}
    for number, offer in enumerate(index.packages):
        for one in offer.requires:
            fitting = index.fitting(one)
            for n in fitting:
                dependents.setdefault(n, []).append((number, fitting))
    waiting = list(gone)
    for number in waiting:
        for dependent, fitting in dependents.get(number, ()):
            if dependent not in gone and all(n in gone for n in fitting):
                gone[dependent] = f"requires {index.ids[number]}"
                waiting.append(dependent)
