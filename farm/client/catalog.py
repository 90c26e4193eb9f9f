# SPDX-License-Identifier: GPL-3.0-or-later
"""All packages that the enabled wagons offer, and what the words of a user mean among them."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from farm.client.change import Candidate
from farm.client.config import RepositoryConfig
from farm.client.database import Installed
from farm.client.masks import Masks
from farm.spec.model import PackageId, Requirement
from farm.spec.platform import runs_programs_of
from farm.spec.problem import FarmError, Problem, error
from farm.spec.selector import Target, parse_target
from farm.wagon.reading import Wagon

Opened = tuple[RepositoryConfig, Wagon]


@dataclasses.dataclass(frozen=True)
class Catalog:
    """``candidates``: what may be installed, of repositories earlier in priority first; ``masked``: what may not.

    ``foreign``: what cannot be installed, as it is for another platform than the root's, with that platform.
    ``platform`` is the root's; empty: nobody told.
    """

    candidates: tuple[Candidate, ...] = ()
    masked: Mapping[PackageId, str] = dataclasses.field(default_factory=dict)
    foreign: Mapping[PackageId, str] = dataclasses.field(default_factory=dict)
    platform: str = ""

    @classmethod
    def of(cls, wagons: Iterable[Opened], masks: Masks, platform: str = "") -> Catalog:
        """The packages of wagons. Of two repositories with the same priority, the first is before the other.

        ``platform`` is the root's; empty: that of the first package that tells one.
        """
        found: list[Candidate] = []
        masked: dict[PackageId, str] = {}
        foreign: dict[PackageId, str] = {}
        for repository, wagon in sorted(wagons, key=lambda opened: opened[0].priority):
            for package, entry in wagon.packages.items():
                made_for = entry.metadata.platform or wagon.repository.platform
                platform = platform or made_for
                rule = masks.rule(package, repository.name)
                if rule:
                    masked.setdefault(package, rule)
                elif made_for and not runs_programs_of(platform, made_for):
                    foreign.setdefault(package, made_for)
                else:
                    found.append(Candidate(package, repository, entry))
        there = {one.id for one in found}
        foreign = {one: made_for for one, made_for in foreign.items() if one not in there}
        return cls(tuple(found), masked, foreign, platform)

    @property
    def foreign_names(self) -> dict[str, str]:
        """What to say of ``category/name`` of which there are packages for other platforms."""
        return {package.atom: foreign_to_root(package, platform) for package, platform in self.foreign.items()}

    def named(self, name: str) -> list[Candidate]:
        """All of that name, in whatever category."""
        return [one for one in self.candidates if one.id.name == name]

    def get(self, package: PackageId, repository: str = "") -> Candidate | None:
        """One package, of the first repository that has it, or of the one named."""
        fitting = (one for one in self.candidates if one.id == package)
        return next((one for one in fitting if repository in ("", one.repository.name)), None)


def foreign_to_root(package: PackageId, platform: str) -> str:
    """Why a package cannot come into the root."""
    return f"{package} is for {platform}, and this root is not"


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What a word of the user means: a requirement, perhaps of one repository only."""

    text: str
    requirement: Requirement
    repository: str = ""


def understand(
    texts: Sequence[str],
    known: Iterable[Requirement],
    where: str,
    masked: Iterable[PackageId] = (),
    foreign: Mapping[PackageId, str] = MappingProxyType({}),
) -> list[Asked]:
    """What targets (``category/name``, ``name``, ``category/name@selector``, Gentoo atoms) mean among ``known``.

    ``known`` are the names there are; ``where`` says where that is. FarmError with all that mean nothing:
    ``unknown-target``, ``ambiguous-target``, ``masked-target``, ``foreign-package``, ``bad-target``, ``bad-selector``.
    """
    words = _Words(known, where, masked, foreign)
    asked: list[Asked] = []
    problems: list[Problem] = []
    for text in texts:
        try:
            asked.append(words.meaning(text))
        except FarmError as failure:
            problems += failure.problems
    if problems:
        raise FarmError(problems)
    return asked


class _Words:
    def __init__(
        self, known: Iterable[Requirement], where: str, masked: Iterable[PackageId], foreign: Mapping[PackageId, str]
    ) -> None:
        self._where = where
        self._foreign = foreign
        self._masked = {(package.category, package.name) for package in masked}
        self._categories: dict[str, dict[str, None]] = {}
        for one in known:
            self._categories.setdefault(one.name, {})[one.category] = None

    def meaning(self, text: str) -> Asked:
        target = parse_target(text)
        if target.literal and self._fitting(target, target.literal):
            return self._one(text, target, target.literal, "")
        if self._fitting(target, target.name):
            return self._one(text, target, target.name, target.selector.text)
        raise self._unknown(text, target)

    def _fitting(self, target: Target, name: str) -> list[str]:
        found = self._categories.get(name, {})
        return [category for category in found if target.category in (None, category)]

    def _one(self, text: str, target: Target, name: str, selector: str) -> Asked:
        categories = sorted(self._fitting(target, name))
        if len(categories) > 1:
            hint = "write one of " + ", ".join(f"{category}/{name}" for category in categories)
            raise error("ambiguous-target", f"{text!r} is in several categories", hint=hint)
        return Asked(text, Requirement(categories[0], name, selector), target.repository)

    def _unknown(self, text: str, target: Target) -> FarmError:
        for package, platform in self._foreign.items():
            if package.name == target.name and target.category in (None, package.category):
                hint = f"for a root of {platform}, set system.platform: {platform} in the client's configuration"
                return error(
                    "foreign-package", foreign_to_root(package, platform), hint=f"{hint} (ANISE_SYSTEM__PLATFORM)"
                )
        if any(name == target.name and target.category in (None, category) for category, name in self._masked):
            return error("masked-target", f"{text!r} is masked", hint="see the files in packages_maskdir")
        atoms = [f"{category}/{name}" for name, categories in self._categories.items() for category in categories]
        wanted = f"{target.category}/{target.name}" if target.category else target.name
        close = difflib.get_close_matches(target.name, self._categories, 3)
        same = [
            atom for atom in atoms if atom.rpartition("/")[2] in (close if target.category is None else [target.name])
        ]
        near = (
            same
            or difflib.get_close_matches(wanted, atoms, 3)
            or difflib.get_close_matches(target.name, self._categories, 3)
        )
        hint = f"did you mean {' or '.join(near[:3])}?" if near else "`farm anise search` lists what there is"
        return error("unknown-target", f"there is no package {text!r} {self._where}", hint=hint)


def names_of(packages: Iterable[Candidate | Installed]) -> list[Requirement]:
    """The names that packages go by: their own, and what they provide."""
    found: dict[Requirement, None] = {}
    for package in packages:
        found[Requirement(package.id.category, package.id.name)] = None
        for one in package.provides:
            found[Requirement(one.category, one.name)] = None
    return list(found)
