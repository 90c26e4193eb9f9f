# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated packages on their way into a kit: a source of a merge like any other, delivered as any other.

Distfiles are brought to their mirror before the commits are made: nobody gets an ebuild whose files are not there.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence

from farm.kit.atom import Cpv, Wanted
from farm.kit.autogen.command import Report, Request, generate_all
from farm.kit.autogen.model import Atom, Specification
from farm.kit.autogen.output import contents_of, place_distfiles
from farm.kit.autogen.package import Chosen, Generated
from farm.kit.autogen.run import Workshop
from farm.kit.autogen.selection import condition_of
from farm.kit.bot.delivery import Report as Delivery
from farm.kit.bot.superseded import Doomed, superseded_bumps
from farm.kit.condition import admitted
from farm.kit.distfiles.fetching import Distfiles
from farm.kit.distfiles.sync import Supply, bring
from farm.kit.ebuilds import Kit
from farm.kit.forge.interface import Pull
from farm.kit.merge.candidates import Candidate
from farm.kit.merge.fixups import check_fixups
from farm.kit.merge.packages import plan_bumps
from farm.kit.merge.plan import plan_rest
from farm.kit.metadata.reading import MetadataReader
from farm.kit.model import KitSpec, Rule, Target
from farm.kit.run import run_plan
from farm.kit.tree import MemoryTree
from farm.kit.unit import Unit
from farm.spec.problem import Problem

SOURCE = "autogen"
"""The name of the source that generated packages make up."""


def autogen_into_kit(request: Request, specification: Specification, spec: KitSpec, workshop: Workshop) -> Report:
    """Generates what the kit does not have, and merges it. FarmError when nothing could be done at all."""
    assert spec.target is not None
    check_fixups(spec.target.fixups)
    merging = _Merging(request, specification, spec, spec.target, workshop)
    delivery = run_plan(spec, request.run, merging.plan, merging.doom)
    report = merging.report
    report.problems += delivery.problems
    report.notes += _notes(delivery)
    failed = [problem for outcome in report.outcomes if outcome.status == "failed" for problem in outcome.problems]
    report.news = [*(f"[{problem.package or problem.code}] {problem.message}" for problem in failed), *delivery.news()]
    if request.backend is None and request.downloads is None and any(made.distfiles for made in report.generated):
        report.notes.append("the distfiles are in the store; --mirror-dir or --download-dir puts them into a folder")
    report.details = {"merge": {**delivery.to_json(), "diff": delivery.diff}}
    return report


def _notes(delivery: Delivery) -> list[str]:
    lines = [f"  {done.state:9} {done.unit.ebuild or done.unit.subject} {done.url or done.commit[:12]}".rstrip()
             for done in delivery.delivered]  # fmt: skip
    return [*([delivery.diff.rstrip("\n")] if delivery.diff else []), *lines]


@dataclasses.dataclass
class _Merging:
    """One run: what it found out, for its later parts."""

    request: Request
    specification: Specification
    spec: KitSpec
    target: Target
    workshop: Workshop
    report: Report = dataclasses.field(default_factory=lambda: Report([]))

    def plan(
        self, sources: Sequence[Kit], kit: Kit, reader: MetadataReader, problems: list[Problem], new: bool
    ) -> list[Unit]:
        """The units: a bump for each new version, then what any merge looks after."""
        slots = _Slots(kit, reader)
        self.report = generate_all(self.request, self.specification, self.workshop, self._presence(kit, slots))
        self._only_listed()
        candidates = self._candidates(reader, kit, sources)
        hashes = self.target.manifest_hashes
        units = plan_bumps(
            candidates, kit, [*sources, *{c.kit.name: c.kit for c in candidates}.values()], reader, hashes, problems
        )
        units = self._supplied(units)
        merged = [candidate for candidate in candidates if any(unit.subject == candidate.cpv.catpkg for unit in units)]
        return [*units, *plan_rest(self.spec, self.target, sources, kit, merged, new=new)]

    def doom(self, pulls: Sequence[Pull], units: Sequence[Unit], kit: Kit) -> list[Doomed]:
        """Pull requests that a newer version has taken the place of."""
        looked_at = [outcome.atom for outcome in self.report.outcomes if outcome.status in ("generated", "present")]
        rules = [Rule(Wanted(atom.catpkg), conditions=_conditions(atom)) for atom in looked_at]
        return list(superseded_bumps(pulls, units, rules, kit))

    def _presence(self, kit: Kit, slots: _Slots) -> _Presence:
        return _Presence(kit, slots, self.request.force)

    def _only_listed(self) -> None:
        """Takes out what the kit file does not list: its atoms are what may be merged. Without any, everything is."""
        listed = {rule.wanted.catpkg for rule in self.target.rules}
        for number, outcome in enumerate(self.report.outcomes):
            made = outcome.generated
            if made is None or not listed:
                continue
            if not any(_admits(rule, made) for rule in self.target.rules):
                message = f"{made.cpv}: the kit file's atoms do not admit it: it is not merged"
                hint = "" if made.cpv.catpkg in listed else f"add - pkg: {made.cpv.catpkg} to atoms"
                self.report.problems.append(
                    Problem("not-listed", message, outcome.atom.place, hint, "warning", made.cpv.catpkg)
                )
                self.report.outcomes[number] = dataclasses.replace(outcome, generated=None)

    def _candidates(self, reader: MetadataReader, kit: Kit, sources: Sequence[Kit]) -> list[Candidate]:
        """Each generated ebuild with its metadata; what portage cannot read has failed."""
        made = [(number, outcome.generated) for number, outcome in enumerate(self.report.outcomes) if outcome.generated]
        if not made:
            return []
        source = Kit(SOURCE, MemoryTree(contents_of(generated for _, generated in made)))
        reader.others[:] = [*sources, kit]
        scanned = reader.read(source, [generated.cpv for _, generated in made])
        found: list[Candidate] = []
        for number, generated in made:
            outcome = self.report.outcomes[number]
            metadata = scanned.found.get(generated.cpv)
            if metadata is None:
                why = scanned.failed.get(generated.cpv, "portage says nothing of it")
                hint = "look at it with --thin, and mend the template"
                self._fail(number, Problem("bad-ebuild", f"{generated.cpv}: {why}", outcome.atom.place, hint))
                continue
            conditions = (*_conditions(outcome.atom), *_listed_conditions(self.target.rules, generated))
            wanted = Wanted(generated.cpv.catpkg, metadata.slot if outcome.atom.selector_by_slot else "")
            rule = Rule(wanted, conditions=conditions, ignore_slot=not outcome.atom.selector_by_slot)
            found.append(Candidate(rule, source, generated.cpv, metadata))
        return found

    def _supplied(self, units: list[Unit]) -> list[Unit]:
        """The units whose distfiles are where they have to be; the others have failed."""
        request = self.request
        if request.run.dry_run:
            return units
        distfiles = Distfiles(self.workshop.store, kinds=self.workshop.kinds)
        by_package: dict[str, list[int]] = {}
        for number, outcome in enumerate(self.report.outcomes):
            if outcome.generated:
                by_package.setdefault(outcome.atom.catpkg, []).append(number)
        kept = []
        for unit in units:
            numbers = by_package.get(unit.subject, [])
            made = [outcome.generated for n in numbers if (outcome := self.report.outcomes[n]).generated]
            generated = [one for one in made if one]
            if request.downloads:
                place_distfiles(distfiles, generated, request.downloads)
            supplies = [Supply(got.distfile, lambda got=got: self.workshop.store.blob_path(got.blob))  # type: ignore[misc]
                        for one in generated for got in one.distfiles]  # fmt: skip
            failed = (
                bring(request.backend, request.layout, supplies, request.run.concurrency) if request.backend else []
            )
            for problem in failed:
                for number in numbers:
                    self._fail(number, problem)
            if not failed:
                kept.append(unit)
        return kept

    def _fail(self, number: int, problem: Problem) -> None:
        outcome = self.report.outcomes[number]
        problem = dataclasses.replace(problem, package=outcome.atom.catpkg)
        self.report.outcomes[number] = dataclasses.replace(
            outcome, status="failed", generated=None, problems=(*outcome.problems, problem)
        )


class _Slots:
    """Slots of what a kit has, asked for only where they count."""

    def __init__(self, kit: Kit, reader: MetadataReader) -> None:
        self._kit, self._reader, self._lock = kit, reader, threading.Lock()

    def of(self, cpv: Cpv) -> str:
        """The slot of an ebuild of the kit; 0 when it cannot be read."""
        with self._lock:
            found = self._reader.read(self._kit, self._kit.packages[cpv.catpkg]).found
        return found[cpv].slot if cpv in found else "0"


@dataclasses.dataclass(frozen=True)
class _Presence:
    """Whether the kit has a chosen version, or a later one that the selector admits as well."""

    kit: Kit
    slots: _Slots
    force: bool

    def __call__(self, chosen: Chosen) -> bool:
        conditions = [condition_of(text) for text in chosen.atom.selector]
        there = self.kit.packages.get(chosen.cpv.catpkg, ())
        mine = [cpv for cpv in there if all(admits(cpv.with_revision(0).order) for admits in conditions)]
        if chosen.atom.selector_by_slot:
            mine = [cpv for cpv in mine if self.slots.of(cpv) == chosen.slot]
        order = chosen.cpv.order
        if any(order < cpv.order and not cpv.is_same_release(chosen.cpv) for cpv in mine):
            return True
        same = any(cpv.is_same_release(chosen.cpv) and cpv.order >= order for cpv in mine)
        return same and not self.force


def _conditions(atom: Atom) -> tuple[str, ...]:
    """The selector as conditions of a merge: ``>=2`` is ``>=cat/name-2``."""
    found = []
    for text in atom.selector:
        text = text.replace(" ", "")
        operator = next((o for o in ("!<", "!>", "!=", ">=", "<=", ">", "<", "=", "~", "!") if text.startswith(o)), "")
        version = text[len(operator) :]
        written = {"": "=", "!": "!=", "!=": "!="}.get(operator, operator)
        found.append(
            f"{written}{atom.catpkg}-{version.rstrip('*').rstrip('.') + '*' if version.endswith('*') else version}"
        )
    return tuple(found)


def _admits(rule: Rule, generated: Generated) -> bool:
    cpv, wanted = generated.cpv, rule.wanted
    if cpv.catpkg != wanted.catpkg or (wanted.slot and wanted.slot != generated.slot):
        return False
    return admitted(cpv, generated.slot, rule.conditions, ignore_slot=rule.ignore_slot)


def _listed_conditions(rules: Sequence[Rule], generated: Generated) -> tuple[str, ...]:
    return next((rule.conditions for rule in rules if _admits(rule, generated)), ())
