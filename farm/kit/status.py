# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit status``: which version of each package each branch has, what waits for a decision, what upstream has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.kit.atom import Cpv
from farm.kit.bot.superseded import bumps_of
from farm.kit.confine import check_confinement
from farm.kit.ebuilds import Kit
from farm.kit.forge.choose import forge_of
from farm.kit.forge.interface import Pull
from farm.kit.merge.candidates import find_candidates
from farm.kit.merge.packages import decide
from farm.kit.metadata.reading import MetadataReader
from farm.kit.model import KitSpec, Rule, Source
from farm.kit.tokens import Servers
from farm.kit.tree import MemoryTree
from farm.kit.workspace import Workspace
from farm.spec.problem import FarmError, Problem, error
from farm.spec.version import Version


@dataclasses.dataclass(frozen=True)
class Row:
    """One package. ``versions``: branch → version; ``source``: the version that merge would take, of which kit.

    ``state``: ``current``, ``behind`` (merge has something to do), ``waiting`` (a pull request is open),
    ``ahead`` (later than every source), ``missing`` (nowhere).
    """

    package: str
    versions: Mapping[str, str]
    source: str
    kit: str
    state: str
    pulls: tuple[Pull, ...] = ()
    upstream: str = ""
    outdated: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        pulls = [{"number": pull.number, "title": pull.title, "url": pull.url} for pull in self.pulls]
        return {"package": self.package, "versions": dict(self.versions), "source": self.source, "kit": self.kit,
                "state": self.state, "pulls": pulls, "upstream": self.upstream,
                "outdated": self.outdated}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Status:
    """All packages of a specification. ``branches`` are the columns, the target's last."""

    kit: str
    branches: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {"kit": self.kit, "branches": list(self.branches), "packages": [row.to_json() for row in self.rows]}


def kit_status(
    spec: KitSpec,
    work: Workspace,
    cache: Path,
    servers: Servers,
    *,
    branches: Sequence[str] = (),
    pulls: bool = False,
    owner: str = "",
    upstream: Mapping[str, str] | None = None,
) -> Status:
    """The state of every package. ``branches``: further ones of the target's repository, in the order of stability.

    ``pulls``: ask the forge. ``upstream``: ``category/name`` → the newest version that autogen found.
    """
    check_confinement()
    target = spec.target
    if target is None:
        raise error("no-target", f"{spec.file} has no target", hint="add target: with name, url and branch")
    problems: list[Problem] = list(spec.problems)
    sources = work.sources(spec.sources)
    columns = list(dict.fromkeys([*branches, target.branch]))
    repository = work.repository(target.name, target.url)
    there = [name for name in columns if name in repository.remote.branches]
    kits = dict(zip(there, work.sources([Source(target.name, target.url, name) for name in there]), strict=True))
    open_pulls = forge_of(target.url, servers, owner=owner, name=target.name).open_pulls(target.branch) if pulls else []
    with MetadataReader(cache, sources) as reader:
        rows = _Rows(target.rules, sources, kits, target.branch, reader, problems)
        made = [rows.row(rule, open_pulls, (upstream or {}).get(rule.wanted.catpkg, "")) for rule in target.rules]
    return Status(target.name, tuple(columns), tuple(made), tuple(problems))


class _Rows:
    """Everything that rows are made of, read at once."""

    def __init__(
        self,
        rules: Sequence[Rule],
        sources: Sequence[Kit],
        kits: Mapping[str, Kit],
        branch: str,
        reader: MetadataReader,
        problems: list[Problem],
    ) -> None:
        self.target = kits.get(branch, Kit("", MemoryTree({}), branch))
        self.branch = branch
        ignored: list[Problem] = []
        self.wanted = {c.rule: c for c in find_candidates(rules, sources, reader, problems)}
        self.had = {name: {c.rule: c.cpv for c in find_candidates(rules, [kit], reader, ignored)}
                    for name, kit in kits.items()}  # fmt: skip
        names = {rule.wanted.catpkg for rule in rules}
        ebuilds = [cpv for name in sorted(names) for cpv in self.target.packages.get(name, ())]
        self.known = reader.read(self.target, ebuilds).found if ebuilds else {}

    def row(self, rule: Rule, pulls: Sequence[Pull], upstream: str) -> Row:
        candidate = self.wanted.get(rule)
        versions = {name: found[rule].version for name, found in self.had.items() if rule in found}
        mine = self.had.get(self.branch, {}).get(rule)
        waiting = tuple(pull for pull, cpv in bumps_of(pulls, self.branch) if cpv.catpkg == rule.wanted.catpkg)
        source = candidate.cpv.version if candidate else ""
        newest = max([cpv for cpv in (mine, candidate.cpv if candidate else None) if cpv], default=None)
        outdated = bool(upstream and newest and _is_later(upstream, newest))
        state = self._state(rule, mine, bool(waiting))
        kit = candidate.kit.name if candidate else ""
        return Row(str(rule.wanted), versions, source, kit, state, waiting, upstream, outdated)

    def _state(self, rule: Rule, mine: Cpv | None, waiting: bool) -> str:
        candidate = self.wanted.get(rule)
        if candidate is None:
            return "ahead" if mine else "missing"
        if decide(candidate, self.target, self.known):
            return "waiting" if waiting else "behind"
        return "ahead" if mine and mine.order > candidate.cpv.order else "current"


def _is_later(upstream: str, mine: Cpv) -> bool:
    try:
        return Version.parse(upstream) > mine.with_revision(0).order
    except FarmError:
        return False
