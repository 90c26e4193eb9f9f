# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the kits of a release out of its overlays: fetches, resolves, and delivers each kit as `farm.kit.run` does."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from farm.kit.bot.delivery import Report
from farm.kit.confine import check_confinement
from farm.kit.ebuilds import Kit as Files
from farm.kit.forge.interface import Pull
from farm.kit.foundations.inventory import FixupFolder, OverlayInventory
from farm.kit.foundations.model import Foundations, Kit, Overlay, Release
from farm.kit.foundations.packageset import PackageSet, find_package_set
from farm.kit.foundations.resolve import Content, resolve
from farm.kit.foundations.units import file_units, package_units, python_unit
from farm.kit.merge.extras import DEFAULT_MASTERS, plan_eclasses, plan_layout, plan_profiles
from farm.kit.metadata.reading import MetadataReader
from farm.kit.model import KitSpec, Source, Target
from farm.kit.run import RunOptions, run_plan
from farm.kit.tree import ChangedTree
from farm.kit.unit import Unit
from farm.kit.workspace import Workspace
from farm.spec.problem import FarmError, Problem, error


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """What is to be made. ``sets``: the folder of package sets; ``fixups``: that of fixups; ``kits``: names, or all."""

    foundations: Foundations
    release: Release
    sets: Path
    fixups: Path | None = None
    kits: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Made:
    """What became of one branch of a kit. ``content`` is empty when nothing could be done of it at all."""

    kit: Kit
    content: Content | None
    report: Report


def merge_release(wish: Wish, options: RunOptions) -> list[Made]:
    """Makes all kits that are wished for. What fails in one kit stops no other; it is in that kit's report.

    FarmError when nothing could be done at all: what is wrong with package sets, overlays that cannot be fetched.
    """
    _check(wish)
    check_confinement()
    sets = package_sets(wish)
    overlays = _overlays(wish)
    folder = options.to / "overlays"
    with Workspace(
        folder, options.servers, depth=options.depth, concurrency=options.concurrency, keep=options.keep
    ) as work:
        options.say(f"fetching {len(overlays)} overlays")
        fetched = work.sources([_source(overlay) for overlay in overlays], pull=options.pull_sources)
        files = dict(zip(overlays, fetched, strict=True))
        problems: list[Problem] = []
        fixups = FixupFolder(wish.fixups)
        with MetadataReader(options.cache, fetched) as reader:
            inventory = OverlayInventory(files, reader, problems)
            contents = resolve(wish.foundations, wish.release, sets, inventory, fixups)
        making = _Making(wish, options, files, fixups)
        made = [making.kit(content) for content in contents if not wish.kits or content.kit.name in wish.kits]
    if not options.keep:
        with contextlib.suppress(OSError):  # it is kept when it holds something of somebody else
            options.to.rmdir()
    if made:
        made[0].report.problems[:0] = problems
    return made


def package_sets(wish: Wish) -> dict[str, PackageSet]:
    """The package sets of all generated kits that have one. FarmError with all that is wrong in them."""
    found: dict[str, PackageSet] = {}
    problems: list[Problem] = []
    for name in dict.fromkeys(kit.name for kit in wish.release.kits if kit.generated):
        try:
            rules = find_package_set(wish.sets, wish.release.name, name)
        except FarmError as failure:
            problems += failure.problems
        else:
            found |= {name: rules} if rules else {}
    if problems:
        raise FarmError(problems)
    return found


def _check(wish: Wish) -> None:
    generated = {kit.name for kit in wish.release.kits if kit.generated}
    unknown = [name for name in wish.kits if name not in generated]
    if unknown:
        hint = f"generated in {wish.release.name}: {', '.join(sorted(generated)) or 'none'}"
        raise error("unknown-kit", f"no kit to be made: {', '.join(unknown)}", hint=hint)
    if "{kit}" not in wish.foundations.kit_url:
        hint = "write kit-url: https://example.org/{kit}.git, or give --kit-url"
        raise error("missing-url", f"{wish.foundations.file.name} does not say where the kits are", hint=hint)


def _overlays(wish: Wish) -> list[Overlay]:
    """Every overlay at every commit that a generated kit of the release needs, once."""
    found: dict[tuple[str, str], Overlay] = {}
    for kit in wish.release.kits:
        stacked = wish.foundations.sources[kit.source] if kit.generated else ()
        names = {item.name for item in stacked}
        filters = (wish.foundations.overlays[f] for item in stacked for f in item.filter if f not in names)
        for overlay in (*stacked, *filters):
            found.setdefault((overlay.name, overlay.commit or overlay.branch), overlay)
    return list(found.values())


def _source(overlay: Overlay) -> Source:
    return Source(overlay.name, overlay.url, overlay.branch, overlay.commit, place=overlay.place)


class _Making:
    """All kits of a release under way."""

    def __init__(self, wish: Wish, options: RunOptions, files: Mapping[Overlay, Files], fixups: FixupFolder) -> None:
        self.wish = wish
        self.options = options
        self.by_key = {(overlay.name, overlay.commit or overlay.branch): kit for overlay, kit in files.items()}
        self.fixups = fixups

    def kit(self, content: Content) -> Made:
        """One branch of a kit: planned, and delivered."""
        kit = content.kit
        target = self._target(kit)
        spec = KitSpec(self.wish.foundations.file, (), target, shown=self.wish.foundations.file.name)
        options = dataclasses.replace(self.options, to=self.options.to / f"{kit.name}-{kit.branch.replace('/', '-')}")

        def plan(
            _: Sequence[Files], there: Files, _reader: MetadataReader, problems: list[Problem], new: bool
        ) -> list[Unit]:
            return self._units(content, target, there, problems, new)

        def doom(_pulls: Sequence[Pull], _units: Sequence[Unit], _kit: Files) -> list[tuple[Pull, str]]:
            return []

        try:
            report = run_plan(spec, options, plan, doom)
        except FarmError as failure:
            report = Report(problems=[_about(kit, problem) for problem in failure.problems])
        return Made(kit, content, report)

    def _stacked(self, kit: Kit) -> dict[Overlay, Files]:
        stacked = self.wish.foundations.sources[kit.source]
        return {overlay: self.by_key[overlay.name, overlay.commit or overlay.branch] for overlay in stacked}

    def _target(self, kit: Kit) -> Target:
        eclasses = {o.name: [f"^{name}\\.eclass$" for name in o.eclasses] for o in self._stacked(kit) if o.eclasses}
        url = self.wish.foundations.kit_url.replace("{kit}", kit.name)
        return Target(kit.name, url, kit.branch, eclasses, DEFAULT_MASTERS, has_metadata=True)

    def _units(self, content: Content, target: Target, there: Files, problems: list[Problem], new: bool) -> list[Unit]:
        """Everything that changes in a branch: packages, then what they need, then profiles."""
        kit = content.kit
        stacked, layers = self._stacked(kit), self.fixups.layers(kit)
        file = self.wish.foundations.file.name
        units = package_units(content, there, stacked, layers)
        units += plan_eclasses(target, there, {o.name: f for o, f in stacked.items()}, file, new=new)
        units += file_units(kit, there, stacked.items(), layers, problems)
        if kit.name == "python-kit":
            units += python_unit(kit, self.wish.release.python.get(kit.branch), there)
        changes = {path: change for unit in units for path, change in unit.changes.items()}
        after = Files(there.name, ChangedTree(there.tree, changes), there.branch)
        units += plan_layout(target, after, file) + plan_profiles(target, after, (), file)
        only = set(self.options.packages)
        return [unit for unit in units if not only or unit.subject in only]


def _about(kit: Kit, problem: Problem) -> Problem:
    message = f"{kit.name} {kit.branch}: {problem.message}"
    return dataclasses.replace(problem, message=message, place=problem.place or kit.place)
