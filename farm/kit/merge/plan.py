# SPDX-License-Identifier: GPL-3.0-or-later
"""All that a merge changes, in the order in which it is committed."""

from __future__ import annotations

from collections.abc import Sequence

from farm.kit.ebuilds import Kit
from farm.kit.merge.candidates import Candidate, find_candidates
from farm.kit.merge.extras import plan_eclasses, plan_layout, plan_profiles
from farm.kit.merge.fixups import plan_fixups
from farm.kit.merge.packages import plan_bumps
from farm.kit.metadata.reading import MetadataReader
from farm.kit.model import KitSpec, Rule, Target
from farm.kit.unit import Unit
from farm.spec.problem import Problem


def plan_merge(
    spec: KitSpec,
    sources: Sequence[Kit],
    target: Kit,
    reader: MetadataReader,
    problems: list[Problem],
    *,
    only: Sequence[str] = (),
    new: bool = False,
) -> list[Unit]:
    """Packages by name, then eclasses, layout.conf, profiles, fixups. ``only``: packages (``cat/name``), if any.

    ``new``: the branch is made now. Whatever could not be done is in ``problems`` as an error, the rest goes on.
    """
    assert spec.target is not None
    wanted = select(spec.target.rules, only)
    candidates = find_candidates(wanted, sources, reader, problems)
    hashes = spec.target.manifest_hashes
    bumps = plan_bumps(candidates, target, sources, reader, hashes, problems)
    return [*bumps, *plan_rest(spec, spec.target, sources, target, candidates, new=new)]


def plan_rest(
    spec: KitSpec, kit: Target, sources: Sequence[Kit], target: Kit, candidates: Sequence[Candidate], *, new: bool
) -> list[Unit]:
    """Everything but packages."""
    file = spec.shown or spec.file.name
    added = [candidate.cpv.category for candidate in candidates]
    return [
        *plan_eclasses(kit, target, {source.name: source for source in sources}, file, new=new),
        *plan_layout(kit, target, file),
        *plan_profiles(kit, target, added, file),
        *plan_fixups(kit, target, file, new=new),
    ]


def select(rules: Sequence[Rule], only: Sequence[str]) -> list[Rule]:
    """The rules of the packages named (``cat/name`` or ``cat/name:slot``); all of them for no name."""
    names = set(only)
    return [rule for rule in rules if not names or str(rule.wanted) in names or rule.wanted.catpkg in names]
