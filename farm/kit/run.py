# SPDX-License-Identifier: GPL-3.0-or-later
"""One run over a kit, from its specification to what is on the server: `run_merge` and `run_clean`."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from farm.kit.bot.delivery import Delivered, Report
from farm.kit.bot.direct import deliver_commits, push_branch
from farm.kit.bot.pulls import PullDelivery
from farm.kit.bot.superseded import Doomed, close_all, superseded_bumps, superseded_purges
from farm.kit.clean import plan_clean
from farm.kit.confine import check_confinement
from farm.kit.ebuilds import Kit
from farm.kit.forge.choose import forge_of
from farm.kit.forge.interface import Forge, Pull
from farm.kit.merge.fixups import check_fixups
from farm.kit.merge.plan import plan_merge, select
from farm.kit.metadata.reading import MetadataReader
from farm.kit.model import KitSpec, Source, Target
from farm.kit.repository import Author
from farm.kit.tokens import Servers
from farm.kit.unit import Unit
from farm.kit.workspace import Branch, Workspace
from farm.spec.problem import Problem, error

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What the command line says. ``cache`` is the file of the metadata cache, ``to`` the work folder.

    ``owner`` is ``--github-user``; ``pins``: name of a source → commit that holds instead of its branch.
    """

    to: Path
    cache: Path
    servers: Servers = dataclasses.field(default_factory=Servers)
    author: Author = dataclasses.field(default_factory=Author)
    packages: tuple[str, ...] = ()
    push: bool = False
    pr: bool = False
    dry_run: bool = False
    depth: int = 5
    concurrency: int = 3
    keep: bool = False
    pull_sources: bool = True
    owner: str = ""
    pins: tuple[tuple[str, str], ...] = ()
    skip_masked: bool = False
    pause: float = 1.0
    say: Say = lambda _text: None


Plan = Callable[[Sequence[Kit], Kit, MetadataReader, list[Problem], bool], list[Unit]]
Doom = Callable[[Sequence[Pull], Sequence[Unit], Kit], list[Doomed]]


def run_merge(spec: KitSpec, options: RunOptions) -> Report:
    """Takes new versions of sources into the target.

    FarmError when nothing could be done at all; what failed in part is in the report.
    """
    target = _target_of(spec)
    check_fixups(target.fixups)
    rules = select(target.rules, options.packages)
    _check_names(spec, options.packages)

    def plan(
        sources: Sequence[Kit], kit: Kit, reader: MetadataReader, problems: list[Problem], new: bool
    ) -> list[Unit]:
        return plan_merge(spec, sources, kit, reader, problems, only=options.packages, new=new)

    return run_plan(spec, options, plan, lambda pulls, units, kit: list(superseded_bumps(pulls, units, rules, kit)))


def run_clean(spec: KitSpec, options: RunOptions) -> Report:
    """Removes old versions from the target. Errors as `run_merge`."""
    target = _target_of(spec)
    rules = select(target.rules, options.packages)
    _check_names(spec, options.packages)

    def plan(
        _sources: Sequence[Kit], kit: Kit, reader: MetadataReader, problems: list[Problem], new: bool
    ) -> list[Unit]:
        if new:
            raise error("no-such-branch", f"{target.url} has no branch {target.branch!r}: there is nothing to clean")
        most = target.default_max_versions
        return plan_clean(rules, kit, reader, problems, default_max=most, skip_masked=options.skip_masked)

    def doom(pulls: Sequence[Pull], units: Sequence[Unit], _kit: Kit) -> list[Doomed]:
        return list(superseded_purges(pulls, units, rules, target.branch))

    return run_plan(spec, options, plan, doom)


def clock() -> int:
    """The time of commits in seconds: SOURCE_DATE_EPOCH, else now."""
    written = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(written) if written.isdigit() else int(time.time())


def _target_of(spec: KitSpec) -> Target:
    if spec.target is None:
        raise error("no-target", f"{spec.file} has no target", hint="add target: with name, url and branch")
    return spec.target


def _check_names(spec: KitSpec, names: Sequence[str]) -> None:
    assert spec.target
    unknown = [name for name in names if not select(spec.target.rules, [name])]
    if unknown:
        raise error(
            "unknown-package", f"not in {spec.file.name}: {', '.join(unknown)}", hint="see atoms: of its target"
        )


def pinned(sources: Sequence[Source], pins: Sequence[tuple[str, str]]) -> list[Source]:
    """The sources, those that are pinned at their commit."""
    commits = dict(pins)
    return [dataclasses.replace(s, commit=commits.get(s.name, s.commit)) for s in sources]


def run_plan(spec: KitSpec, options: RunOptions, plan: Plan, doom: Doom) -> Report:
    """Has ``plan`` say what is to be changed, and delivers it. Errors as `run_merge`."""
    target = _target_of(spec)
    servers = options.servers.aiming_at(target.url)
    check_confinement()
    forge = _forge(target, servers, options)
    report = Report(problems=list(spec.problems))
    when = clock()
    with Workspace(
        options.to, servers, depth=options.depth, concurrency=options.concurrency, keep=options.keep
    ) as work:
        options.say(f"fetching {len(spec.sources)} sources and {target.name}")
        sources = work.sources(pinned(spec.sources, options.pins), pull=options.pull_sources)
        depth = 0 if options.pr else options.depth
        branch = work.target(target.name, target.url, target.branch, depth=depth)
        kit = Kit(target.name, branch.repository.tree(branch.head), target.branch)
        with MetadataReader(options.cache, sources) as reader:
            units = plan(sources, kit, reader, report.problems, branch.is_new)
            options.say(f"{len(units)} changes; portage was run for {reader.scanned} ebuilds")
        if branch.is_new:
            work.begin(branch, target.name, options.author, when)
        _deliver(branch, units, forge, options, report, when)
        if forge and options.push and not options.dry_run:
            pulls = forge.open_pulls(target.branch)
            close_all(doom(pulls, units, kit), forge, branch.repository, report)
        if options.keep and not options.dry_run:
            work.check_out(branch, report.head, target.name)
    return report


def _forge(target: Target, servers: Servers, options: RunOptions) -> Forge | None:
    """The forge, when pull requests are asked for; asked for early, so that a missing one stops before any work."""
    if not (options.pr and options.push) or options.dry_run:
        return None
    if not servers.of(target.url).credentials.token:
        raise error("forge-token", f"there is no token for {servers.of(target.url).host or target.url}",
                    hint="set GITHUB_TOKEN, GITLAB_TOKEN or FORGEJO_TOKEN, or authentication: of the file")  # fmt: skip
    return forge_of(target.url, servers, owner=options.owner, name=target.name, pause=options.pause)


def _deliver(
    branch: Branch, units: list[Unit], forge: Forge | None, options: RunOptions, report: Report, when: int
) -> None:
    if forge:
        PullDelivery(branch, forge, options.author, when, report).deliver(units)
    elif options.pr and not options.dry_run:
        _local_branches(branch, units, options, report, when)
    else:
        push = options.push and not options.dry_run
        deliver_commits(branch, units, options.author, when, report, push=push, dry=options.dry_run)
        if push and branch.is_new and not units:
            push_branch(branch, branch.base)


def _local_branches(branch: Branch, units: list[Unit], options: RunOptions, report: Report, when: int) -> None:
    """``--pr`` without ``--push``: the branches are made in the clone, and stay there with ``--keep-workdir``."""
    from farm.kit.bot.direct import commits_of

    report.head = branch.base
    for unit in units:
        commits = commits_of([unit], branch.base, when)
        made = branch.repository.commit(commits, options.author, {f"refs/heads/{unit.branch}": len(commits) - 1})
        report.delivered.append(Delivered(unit, "committed", made[-1]))
