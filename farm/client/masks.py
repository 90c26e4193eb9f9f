# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages of wagons are not to be used: the rules of ``packages_maskdir``.

A rule is a Gentoo atom: ``category/name``, ``>=category/name-2.0``, ``category/name::repository``. Slots and use
flags in a rule are not looked at, as packages of a wagon have none.
"""

from __future__ import annotations

from collections.abc import Iterable

from farm.client.config import MaskFile
from farm.spec.model import PackageId
from farm.spec.problem import FarmError, Place, Problem
from farm.spec.selector import Target, parse_target
from farm.spec.version import Version


class Masks:
    """The rules of all enabled files. FarmError ``bad-mask`` with all rules that cannot be read."""

    def __init__(self, files: Iterable[MaskFile] = ()) -> None:
        self._rules: dict[str, list[tuple[str, Target]]] = {}
        problems: list[Problem] = []
        for file in files:
            if file.enabled:
                for rule in file.rules:
                    self._add(rule, file.file, problems)
        if problems:
            raise FarmError(problems)

    def rule(self, package: PackageId, repository: str) -> str:
        """The rule by which a package of a repository is masked; empty when none is."""
        for rule, target in self._rules.get(package.name, ()):
            if _matches(target, package, repository):
                return rule
        return ""

    def _add(self, rule: str, file: str, problems: list[Problem]) -> None:
        try:
            target = parse_target(rule)
        except FarmError as failure:
            hint = "a rule is a Gentoo atom, for example >=category/name-1.0::repository"
            problems.append(Problem("bad-mask", failure.problems[0].message, Place(file) if file else None, hint))
            return
        for name in {target.name, target.literal} - {""}:
            self._rules.setdefault(name, []).append((rule, target))


def _matches(target: Target, package: PackageId, repository: str) -> bool:
    if target.category not in (None, package.category) or target.repository not in ("", repository):
        return False
    return package.name == target.literal or target.selector.admits(Version.parse(package.version))
