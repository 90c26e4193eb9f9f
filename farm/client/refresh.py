# SPDX-License-Identifier: GPL-3.0-or-later
"""Which installed packages have other files than the subsets that are enabled now ask for."""

from __future__ import annotations

from farm.client.catalog import Catalog
from farm.client.change import Candidate, Change
from farm.client.config import ClientConfig
from farm.client.database import Database, Installed
from farm.client.solve import plan_again
from farm.client.subsets import ignored
from farm.spec.problem import Problem


def plan_refresh(config: ClientConfig, catalog: Catalog, database: Database) -> tuple[Change, tuple[Problem, ...]]:
    """The packages to unpack again, and warnings ``not-available`` for those that no repository has any more."""
    again: list[Candidate] = []
    problems: list[Problem] = []
    for package in database.installed():
        if not has_rules(config, package):
            continue
        candidate = catalog.get(package.id, package.repository) or catalog.get(package.id)
        if candidate is not None and _differs(config, package, candidate):
            again.append(candidate)
        elif candidate is None:
            message = f"the subsets of {package.id} cannot be applied: no repository has it"
            problems.append(Problem("not-available", message, severity="warning"))
    return plan_again(database, again, "its subsets have changed"), tuple(problems)


def has_rules(config: ClientConfig, package: Installed) -> bool:
    """Whether any subset, enabled or not, could have a part in a package."""
    from farm.client.subsets import rules

    return bool(rules(package.id, package.runtime, config.subsets_definitions))


def _differs(config: ClientConfig, package: Installed, candidate: Candidate) -> bool:
    """Whether a file is missing that is wanted, or there that is not."""
    metadata = candidate.entry.metadata
    ignore = ignored(candidate.id, metadata.runtime, config)
    wanted = {path for path in metadata.files if not ignore.matches_name(path)}
    return len(wanted) != len(package.files) or not _same(wanted, set(package.files))


def _same(wanted: set[str], there: set[str]) -> bool:
    """Files may have been registered at the real place of their folder: then their names must do."""
    rest, other = wanted - there, there - wanted
    return sorted(path.rpartition("/")[2] for path in rest) == sorted(path.rpartition("/")[2] for path in other)
