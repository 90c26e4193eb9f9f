# SPDX-License-Identifier: GPL-3.0-or-later
"""Pull requests of the bot that nobody needs any more: closed with a comment, and their branches removed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from farm.kit.atom import Cpv, parse_cpv
from farm.kit.bot.delivery import Report
from farm.kit.ebuilds import Kit
from farm.kit.forge.interface import Forge, Pull
from farm.kit.model import Rule
from farm.kit.repository import Repository
from farm.kit.unit import Unit, bump_branch, plain
from farm.spec.problem import FarmError, Problem

_BUMP = re.compile(r"mark-devkit: (?:\[[^\]]+\] )?Bump (\S+)")

Doomed = tuple[Pull, str]
"""A pull request, and the comment that says why it is closed."""


def superseded_bumps(
    pulls: Sequence[Pull], units: Sequence[Unit], rules: Sequence[Rule], target: Kit
) -> Iterator[Doomed]:
    """Bumps to a version that a newer one, in a pull request or in the branch, has taken the place of.

    Where several rules are about a package (slots, conditions), only what the branch has already counts: an older
    version may be another rule's.
    """
    several = _several(rules)
    asked = {rule.wanted.catpkg for rule in rules}
    wanted = {unit.branch for unit in units}
    newest: dict[str, Cpv] = {}
    for unit in units:
        if unit.ebuild:
            newest[unit.subject] = max(newest.get(unit.subject, unit.ebuild), unit.ebuild)
    for pull in pulls:
        cpv = _bump_of(pull, target.branch)
        if cpv is None or pull.head in wanted or cpv.catpkg not in asked:
            continue
        there = target.packages.get(cpv.catpkg, ())
        if cpv in there:
            yield pull, f"Branch {target.branch} has {cpv} already."
        elif cpv.catpkg not in several and (new := newest.get(cpv.catpkg)) and cpv.order < new.order:
            yield pull, f"Superseded by {new}."
        elif cpv.catpkg not in several and any(cpv.order < other.order for other in there):
            yield pull, f"Branch {target.branch} has a later version already."


def superseded_purges(
    pulls: Sequence[Pull], units: Sequence[Unit], rules: Sequence[Rule], branch: str
) -> Iterator[Doomed]:
    """Purges of packages that have nothing left to remove."""
    wanted = {unit.branch for unit in units}
    ours = {f"purge/{branch}/{plain(rule.wanted.catpkg)}": rule.wanted.catpkg for rule in rules}
    for pull in pulls:
        if pull.head in ours and pull.head not in wanted:
            yield pull, f"{ours[pull.head]} has no version to remove any more."


def close_all(doomed: Sequence[Doomed], forge: Forge, repository: Repository, report: Report) -> None:
    """Closes, then removes the branches. What fails is an error of the report, and left for the next run."""
    gone: dict[str, tuple[str, str]] = {}
    branches: Mapping[str, str] = repository.remote.branches
    for pull, comment in doomed:
        try:
            forge.close(pull.number, comment)
        except FarmError as failure:
            message = f"pull request {pull.number} was not closed: {failure.problems[0].message}"
            report.problems.append(Problem(failure.code, message, None, "run again"))
            continue
        report.closed.append(pull.url or str(pull.number))
        if pull.head in branches:
            gone[pull.head] = ("", branches[pull.head])
    if gone:
        try:
            repository.push(gone)
        except FarmError as failure:
            report.problems.extend(failure.problems)


def _bump_of(pull: Pull, branch: str) -> Cpv | None:
    """The version that a pull request of the bot's brings, by its title, if its head agrees."""
    found = _BUMP.fullmatch(pull.title)
    if not found:
        return None
    try:
        cpv = parse_cpv(found[1])
    except FarmError:
        return None
    return cpv if pull.head == bump_branch(cpv, branch) else None


def bumps_of(pulls: Sequence[Pull], branch: str) -> list[tuple[Pull, Cpv]]:
    """The pull requests that bring a version, with it."""
    return [(pull, cpv) for pull in pulls if (cpv := _bump_of(pull, branch))]


def _several(rules: Sequence[Rule]) -> set[str]:
    names = [rule.wanted.catpkg for rule in rules]
    return {name for name in names if names.count(name) > 1}
