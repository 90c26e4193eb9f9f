# SPDX-License-Identifier: GPL-3.0-or-later
"""Pull requests: one for each unit, on a branch of its own cut from the target's head.

The forge is asked what is open, and the server which branches there are; from both follows what is left to do. So a run
goes on wherever an earlier one stopped: a branch without a pull request gets one, one that is open stays, and a
branch left over from a merged one is used anew. Order: target branch, branches, pull requests, closing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from farm.kit.bot.delivery import Delivered, Report, State
from farm.kit.bot.direct import push_branch
from farm.kit.forge.interface import Forge, NewPull, Pull
from farm.kit.repository import Author, NewCommit, Repository
from farm.kit.tree import blob_id
from farm.kit.unit import Unit
from farm.kit.workspace import Branch
from farm.spec.problem import FarmError, Problem, Severity


@dataclasses.dataclass(frozen=True, slots=True)
class Intent:
    """What is to be done for a unit: push its branch (over ``before``), make its pull request, or neither."""

    unit: Unit
    state: State
    push: bool = False
    create: bool = False
    before: str = ""
    pull: Pull | None = None


class PullDelivery:
    """Delivers units as pull requests. ``forge`` None: branches are made and pushed, no pull request."""

    def __init__(self, branch: Branch, forge: Forge, author: Author, when: int, report: Report) -> None:
        self.branch, self.forge, self.author, self.when, self.report = branch, forge, author, when, report
        self.repository: Repository = branch.repository

    def deliver(self, units: Sequence[Unit]) -> list[Pull]:
        """Everything but closing: the pull requests that were open before. A unit that fails does not stop others."""
        self.report.head = self.branch.base
        if self.branch.is_new and units:
            push_branch(self.branch, self.branch.base)
        open_pulls = self.forge.open_pulls(self.branch.name)
        intents = self.intents(units, open_pulls)
        commits = self._commit([intent.unit for intent in intents])
        failed = self._push(intents, commits)
        for intent in intents:
            self.report.delivered.append(self._finish(intent, commits[intent.unit.branch], failed))
        return open_pulls

    def intents(self, units: Sequence[Unit], open_pulls: Sequence[Pull]) -> list[Intent]:
        """What is left to do for each unit."""
        by_head = {pull.head: pull for pull in open_pulls}
        there = {unit.branch: sha for unit in units if (sha := self.repository.remote.branches.get(unit.branch))}
        self.repository.fetch_commits(sorted(set(there.values())))
        return [self._intent(unit, by_head.get(unit.branch), there.get(unit.branch, "")) for unit in units]

    def _intent(self, unit: Unit, pull: Pull | None, sha: str) -> Intent:
        if not sha:
            return Intent(unit, "opened", push=True, create=True)
        same = self._says_the_same(unit, sha)
        if pull:
            if same:
                return Intent(unit, "queued", pull=pull)
            if not self._is_ours(sha):
                return Intent(unit, "by-hand", pull=pull)
            return Intent(unit, "updated", push=True, before=sha, pull=pull)
        if same:
            earlier = self.forge.pulls_of(unit.branch, self.branch.name)
            if any(one.state == "closed" and one.commit in (sha, "") for one in earlier):
                return Intent(unit, "declined", pull=earlier[0])
            return Intent(unit, "opened", create=True)
        return Intent(unit, "opened", push=True, create=True, before=sha)

    def _says_the_same(self, unit: Unit, sha: str) -> bool:
        """Whether a branch has all of the unit's files as the unit wants them, on a base that still makes sense."""
        entries = self.repository.tree(sha).entries
        for path, change in unit.changes.items():
            there = entries.get(path)
            if (there is None) != (change is None):
                return False
            if there and change and (there.mode, there.blob) != (change[0], blob_id(change[1])):
                return False
        return True

    def _is_ours(self, sha: str) -> bool:
        return self.repository.git.text("log", "-n1", "--format=%ae", sha) == self.author.email

    def _commit(self, units: Sequence[Unit]) -> dict[str, str]:
        """The commits of each unit on the base: branch → the last one's id."""
        commits: list[NewCommit] = []
        last: dict[str, int] = {}
        for unit in units:
            for number, step in enumerate(unit.steps):
                parent = len(commits) - 1 if number else self.branch.base
                commits.append(NewCommit(parent, step.message, step.changes, self.when))
            last[unit.branch] = len(commits) - 1
        made = self.repository.commit(commits, self.author)
        return {branch: made[number] for branch, number in last.items()}

    def _push(self, intents: Sequence[Intent], commits: Mapping[str, str]) -> dict[str, str]:
        """Branches that the server refused → why."""
        updates = {i.unit.branch: (commits[i.unit.branch], i.before) for i in intents if i.push}
        try:
            return self.repository.push(updates) if updates else {}
        except FarmError as failure:
            there = self.repository.remote.branches
            why = failure.problems[0].message
            return {name: why for name, (new, _) in updates.items() if there.get(name) != new}

    def _finish(self, intent: Intent, commit: str, failed: Mapping[str, str]) -> Delivered:
        unit = intent.unit
        if why := failed.get(unit.branch):
            self._say("push-refused", unit, f"the branch was not pushed: {why}", "run again")
            return Delivered(unit, "failed", why=why)
        if intent.state == "by-hand":
            self._say("changed-by-hand", unit, "its branch was changed by hand: left alone", "", warning=True)
        if not intent.create:
            return Delivered(unit, intent.state, commit if intent.push else "", intent.pull.url if intent.pull else "")
        try:
            pull = self.forge.create(NewPull(unit.title, unit.body, unit.branch, self.branch.name))
        except FarmError as failure:
            why = failure.problems[0].message
            self._say(failure.code, unit, f"its pull request was not made: {why}", "run again")
            return Delivered(unit, "failed", commit, why=why)
        return Delivered(unit, intent.state, commit, pull.url)

    def _say(self, code: str, unit: Unit, message: str, hint: str, *, warning: bool = False) -> None:
        subject = str(unit.ebuild or unit.subject)
        severity: Severity = "warning" if warning else "error"
        self.report.problems.append(Problem(code, f"{subject}: {message}", None, hint, severity, unit.subject))
