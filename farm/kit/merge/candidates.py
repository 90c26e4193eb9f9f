# SPDX-License-Identifier: GPL-3.0-or-later
"""Which version of each package a kit is to have: the last one with KEYWORDS that the conditions admit, of any source.

Metadata is only asked for versions that can be it, from the last one down: most versions are never looked at.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

from farm.kit.atom import Cpv
from farm.kit.condition import admitted
from farm.kit.ebuilds import Kit
from farm.kit.metadata.entry import Metadata
from farm.kit.metadata.reading import MetadataReader
from farm.kit.model import Rule
from farm.spec.problem import Problem

_WINDOWS = (1, 3, 12, 1000000)
"""How many further versions of a package are looked at in each round."""


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """The version of a source that a rule chose."""

    rule: Rule
    kit: Kit
    cpv: Cpv
    metadata: Metadata


@dataclasses.dataclass
class Search:
    """A rule under way: what is left to be looked at, from the last version down."""

    rule: Rule
    left: Iterator[tuple[Kit, Cpv]]
    asked: list[tuple[Kit, Cpv]] = dataclasses.field(default_factory=list)


def find_candidates(
    rules: Sequence[Rule], sources: Sequence[Kit], reader: MetadataReader, problems: list[Problem]
) -> list[Candidate]:
    """One candidate for each rule that has any, in the order of the rules.

    Of the same version in several sources the first listed source's is taken. Ebuilds that portage cannot read are
    noted in ``problems`` and passed over, as are rules without a version.
    """
    searches = [Search(rule, iter(_versions(rule, sources))) for rule in rules]
    chosen: dict[int, Candidate] = {}
    failed: dict[tuple[int, Cpv], str] = {}
    waiting = list(enumerate(searches))
    for window in _WINDOWS:
        for _, search in waiting:
            search.asked = list(itertools.islice(search.left, window))
        found = _read([pair for _, search in waiting for pair in search.asked], reader, failed)
        for number, search in waiting:
            candidate = _first(search, found)
            if candidate:
                chosen[number] = candidate
        waiting = [(number, search) for number, search in waiting if number not in chosen and search.asked]
    _tell(searches, chosen, failed, sources, problems)
    return [chosen[number] for number in sorted(chosen)]


def _versions(rule: Rule, sources: Sequence[Kit]) -> list[tuple[Kit, Cpv]]:
    """Every ebuild that could be it, the last version first; conditions about slots are left for later."""
    plain = [condition for condition in rule.conditions if ":" not in condition]
    pairs = [(kit, cpv) for kit in sources for cpv in kit.packages.get(rule.wanted.catpkg, ())]
    pairs = [(kit, cpv) for kit, cpv in pairs if admitted(cpv, "", plain)]
    return sorted(pairs, key=lambda pair: pair[1].order, reverse=True)


def _read(
    pairs: Sequence[tuple[Kit, Cpv]], reader: MetadataReader, failed: dict[tuple[int, Cpv], str]
) -> Mapping[tuple[int, Cpv], Metadata]:
    found: dict[tuple[int, Cpv], Metadata] = {}
    kits = {id(kit): kit for kit, _ in pairs}
    for kit in kits.values():
        done = reader.read(kit, [cpv for other, cpv in pairs if other is kit])
        found |= {(id(kit), cpv): entry for cpv, entry in done.found.items()}
        failed |= {(id(kit), cpv): why for cpv, why in done.failed.items()}
    return found


def _first(search: Search, found: Mapping[tuple[int, Cpv], Metadata]) -> Candidate | None:
    for kit, cpv in search.asked:
        entry = found.get((id(kit), cpv))
        if entry and entry.keywords and fits(search.rule, cpv, entry.slot):
            return Candidate(search.rule, kit, cpv, entry)
    return None


def fits(rule: Rule, cpv: Cpv, slot: str) -> bool:
    """Whether an ebuild of a slot is one that a rule is about."""
    if cpv.catpkg != rule.wanted.catpkg or (rule.wanted.slot and rule.wanted.slot != slot):
        return False
    return admitted(cpv, slot, rule.conditions, ignore_slot=rule.ignore_slot)


def _tell(
    searches: Sequence[Search],
    chosen: Mapping[int, Candidate],
    failed: Mapping[tuple[int, Cpv], str],
    sources: Sequence[Kit],
    problems: list[Problem],
) -> None:
    names = {id(kit): kit.name for kit in sources}
    for (kit, cpv), why in sorted(failed.items(), key=lambda item: (names[item[0][0]], item[0][1])):
        message = f"{names[kit]}: {cpv}: portage cannot read it: {why}"
        hint = "mend the ebuild, or an eclass that it inherits, in its kit"
        problems.append(Problem("bad-ebuild", message, None, hint, "warning", str(cpv)))
    for number, search in enumerate(searches):
        if number in chosen:
            continue
        known = any(search.rule.wanted.catpkg in kit.packages for kit in sources)
        what = "no version with KEYWORDS fits" if known else "is in no source"
        message = f"{search.rule.wanted}: {what}"
        problems.append(Problem("no-candidate", message, search.rule.place, "", "warning", search.rule.wanted.catpkg))
