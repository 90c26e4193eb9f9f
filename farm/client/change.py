# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be installed, and what is to be done to a root: plain values (farm/client/solve.py finds them)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from farm.client.config import RepositoryConfig
from farm.client.database import Installed, requirements
from farm.spec.model import PackageId, Requirement

if TYPE_CHECKING:
    from farm.wagon.reading import Entry


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A package of a wagon that may be installed. ``repository`` has the URLs it is fetched from."""

    id: PackageId
    repository: RepositoryConfig = dataclasses.field(hash=False)
    entry: Entry = dataclasses.field(hash=False, compare=False)

    @property
    def requires(self) -> tuple[Requirement, ...]:
        """What it needs."""
        return requirements(self.entry.metadata.runtime, "requires")

    @property
    def conflicts(self) -> tuple[Requirement, ...]:
        """What it cannot be together with."""
        return requirements(self.entry.metadata.runtime, "conflicts")

    @property
    def provides(self) -> tuple[Requirement, ...]:
        """What else it stands in for."""
        return requirements(self.entry.metadata.runtime, "provides")


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """What is to be done to a root, as one transaction.

    ``install``: new packages, dependencies first. ``remove``: those that go, dependents first (with all their
    files). ``replace``: (old, new) of the same ``category/name`` (other version, or the same again), dependencies
    first. ``order``: identities of all that arrives, new and replacing, dependencies first: the order in which
    finalizers run. ``requested``: those of them that the user asked for. ``present``: what the user asked for and is
    there already. ``reasons``: why each of all these.
    """

    install: tuple[Candidate, ...] = ()
    remove: tuple[Installed, ...] = ()
    replace: tuple[tuple[Installed, Candidate], ...] = ()
    order: tuple[PackageId, ...] = ()
    requested: frozenset[PackageId] = frozenset()
    present: tuple[Installed, ...] = ()
    reasons: Mapping[PackageId, str] = dataclasses.field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.install or self.remove or self.replace)

    @property
    def arrivals(self) -> tuple[Candidate, ...]:
        """All that is to be downloaded and unpacked, in ``order``."""
        new = {candidate.id: candidate for candidate in (*self.install, *(after for _, after in self.replace))}
        return tuple(new[package] for package in self.order)

    @property
    def departures(self) -> tuple[Installed, ...]:
        """All whose files go: the removed and the replaced."""
        return (*self.remove, *(before for before, _ in self.replace))
