# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of ``farm bump``: hands what one product found to the next."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from farm.bump import commit, targets, upstream
from farm.bump.forge import GITHUB, Forge
from farm.bump.hooks import HookRunner
from farm.bump.journal import TreeJournal, paths
from farm.bump.kitversions import check_kits
from farm.bump.pins import Fetcher
from farm.bump.prepare import Prepared, Wanted, causes, prepare
from farm.cli.build import run, screen_of
from farm.cli.deliver import deliver
from farm.cli.session import Session, images_of
from farm.engine.summary import Summary
from farm.plan.node import Plan
from farm.spec.model import PackageId, Tree
from farm.spec.problem import Problem, error
from farm.store.session import DYING
from farm.wagon.carry import Carried
from farm.wagon.create import Created


@dataclasses.dataclass
class Outcome:
    """What became of a call. ``held``: packages whose new versions failed and were left out (category/name)."""

    prepared: Prepared
    plan: Plan
    diff: str
    problems: list[Problem]
    asked: int = 0
    summary: Summary | None = None
    created: Created | None = None
    commits: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    written: bool = False
    dry_run: bool = False

    @property
    def status(self) -> int:
        """The exit status."""
        if self.summary and self.summary.outcome == "cancelled":
            return 130
        built = self.summary is None or self.summary.outcome == "ok"
        wrong = any(problem.severity == "error" for problem in (*self.problems, *self.plan.problems))
        return 0 if built and not wrong and not self.held else 1


_NOTHING = Summary("", "ok", {}, {}, (), {}, 0.0, 0.0)


class Bumping:
    """One call, on one session whose store is open."""

    def __init__(self, session: Session, options: Mapping[str, Any]) -> None:
        settings = dataclasses.replace(session.settings, keep_going=True)
        self.session = session.with_settings(settings)
        self.options = options
        self.wagon: Path | None = options["wagon"]
        self.author = commit.author_environ(options["author"])
        name = hashlib.sha256("\0".join(map(os.path.realpath, settings.trees)).encode()).hexdigest()[:16]
        self.name = f"bump-{name}"
        self.journal = TreeJournal(settings.store / "bump" / f"{name}.json")
        check_kits(options["kits"])

    def run(self) -> Outcome:
        """Does all that is asked for. One call at a time works on a tree. FarmError ``tree-busy``."""
        with self.session.store.lock(self.name, wait=DYING) as held:
            if not held:
                raise error("tree-busy", "another `farm bump` works on this tree", hint="wait for it to end")
            problems = self._recover()
            with self.session.store.scratch("bump") as scratch:
                return self._run(scratch, problems)

    def _recover(self) -> list[Problem]:
        """Finishes what a call that was cut off had begun to write."""
        pending = self.journal.pending()
        if pending is None:
            return []
        if self.options["dry_run"]:
            message = f"a call was cut off; the next one first finishes its {len(pending.files)} files"
            return [Problem("unfinished", message, severity="warning")]
        self.journal.apply(pending)
        if self.options["commit"]:
            commit.commit(paths(pending.files), pending.message, self.author)
        self.journal.done()
        return []

    def _run(self, scratch: Path, problems: list[Problem]) -> Outcome:
        carried = Carried(self.wagon) if self.wagon else None
        tree = self.session.tree
        asked = targets.read(tree, self.options["targets"])
        found = self._ask(tree, asked)
        problems += found.problems
        raises = targets.merged(upstream.named(tree, asked.versions), found.raises)
        base = carried.specs() if carried else None
        options = self.options
        wanted = Wanted(raises, base, options["revdeps"], asked.atoms, not options["no_new"])
        outcome = self._build(wanted, scratch, problems)
        outcome.asked = found.asked
        if outcome.dry_run or (outcome.summary and outcome.summary.outcome != "ok") or outcome.plan.problems:
            return outcome
        self._finish(outcome, carried, base or {})
        return outcome

    def _ask(self, tree: Tree, asked: targets.Asked) -> upstream.Found:
        if self.options["offline"]:
            return upstream.Found()
        watches, wrong = upstream.watched(tree, asked.watched, kits=bool(self.options["kits"]))
        forge = Forge(self.options["forge"] or GITHUB, os.environ.get("GITHUB_TOKEN", ""))
        sources = upstream.Sources(forge, self._hooks(), self.options["kits"], _today())
        found = upstream.ask(watches, sources, tree.packages)
        return dataclasses.replace(found, problems=(*wrong, *found.problems))

    def _hooks(self) -> HookRunner:
        settings = self.session.settings
        options = self.options
        return HookRunner(
            self.session.store,
            lambda plan: self._engine(self.session, plan),
            images_of(settings),
            settings.platform,
            f"{time.time_ns()}",
            options["hook_seed"],
            options["hook_network"],
        )

    def _engine(self, session: Session, plan: Plan) -> Summary:
        return run(session, plan, screen_of(False, self.options["plain"] or self.options["json"]))

    def _build(self, wanted: Wanted, scratch: Path, problems: list[Problem]) -> Outcome:
        """Prepares and builds; with --keep-going once more without the new versions that failed."""
        fetcher = Fetcher(self.session.store, threading.Event())
        held: set[str] = set()
        for attempt in range(len(wanted.raises) + 1):
            folder = scratch / f"tree-{attempt}"
            folder.mkdir()
            outcome, session = self._prepared(wanted, fetcher, folder, problems, held)
            if (
                outcome.dry_run
                or self.options["no_build"]
                or (outcome.plan.problems and not self.options["keep_going"])
            ):
                return outcome
            outcome.summary = self._engine(session, outcome.plan) if outcome.plan.nodes else _NOTHING
            more = causes(outcome.prepared, _failed(outcome)) - held if self.options["keep_going"] else set()
            if not more or outcome.summary.outcome == "cancelled":
                return outcome
            held |= more
            problems += _told(outcome)
        raise AssertionError("each round holds back a new version")

    def _prepared(
        self, wanted: Wanted, fetcher: Fetcher, folder: Path, problems: list[Problem], held: Collection[str]
    ) -> tuple[Outcome, Session]:
        prepared = prepare(wanted, self._load, fetcher, folder, held)
        if self.options["commit"]:
            commit.check_clean([change.path for change in prepared.changes.files()], self.author)
        session = self.session.with_staged(prepared.changes.staged())
        plan = session.plan_of(prepared.targets) if not self.options["no_build"] else Plan({}, ())
        diff = prepared.changes.diff(_shown)
        found = [*problems, *prepared.problems]
        return Outcome(prepared, plan, diff, found, held=tuple(sorted(held)), dry_run=self.options["dry_run"]), session

    def _load(self, staged: Mapping[str, str]) -> Tree:
        return self.session.with_staged(staged).tree if staged else self.session.tree

    def _finish(self, outcome: Outcome, carried: Carried | None, base: Collection[PackageId]) -> None:
        """Writes the tree, publishes, commits. A kill anywhere in it is made good by the next call."""
        changes = outcome.prepared.changes.files()
        if changes:
            pending = self.journal.begin(changes, outcome.prepared.message)
            self.journal.apply(pending)
            outcome.written = True
        if carried and self.wagon and outcome.summary:
            outcome.created = self._publish(outcome.plan, outcome.summary, carried, base)
        if changes and self.options["commit"]:
            outcome.commits = tuple(commit.commit(paths(changes), outcome.prepared.message, self.author))
        self.journal.done()

    def _publish(self, plan: Plan, summary: Summary, carried: Carried, base: Collection[PackageId]) -> Created:
        from farm.cli.beside import write_beside
        from farm.cli.wagon import digest_cache, secret_key
        from farm.wagon.create import Request, create_wagon, epoch_of

        assert self.wagon
        with self.session.store.scratch("packages") as folder:
            settings = dataclasses.replace(self.session.settings, destination=folder)
            session = self.session.with_settings(settings)
            tree = session.tree
            carried.link(folder, [id for id in tree.packages if id in base])
            write_beside(deliver(plan, summary, session), plan, session)
            return create_wagon(
                Request(
                    tree,
                    folder,
                    self.wagon,
                    inherit=True,
                    key=secret_key(self.options["key"]),
                    unsigned=self.options["unsigned"],
                    epoch=epoch_of(),
                    cache=digest_cache(settings.store, self.wagon),
                )
            )


def _failed(outcome: Outcome) -> set[PackageId]:
    """The packages that could not be built or planned for a reason of their own."""
    names = {failed.package for failed in outcome.summary.failures} if outcome.summary else set()
    names |= {*outcome.plan.unplanned, *(problem.package for problem in outcome.plan.problems)}
    return {id for id in outcome.prepared.tree.packages if str(id) in names}


def _told(outcome: Outcome) -> list[Problem]:
    """Why new versions are held back."""
    failures = outcome.summary.failures if outcome.summary else ()
    said = [Problem("held-back", f"{f.package or f.node}: {f.status}: see `farm log {f.node}`") for f in failures]
    return [*said, *outcome.plan.problems]


def _today() -> str:
    from farm.wagon.create import epoch_of

    return time.strftime("%Y%m%d", time.gmtime(epoch_of()))


def _shown(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path).lstrip("/")
