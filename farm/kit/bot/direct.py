# SPDX-License-Identifier: GPL-3.0-or-later
"""Direct commits: all units as commits on the branch, and one push."""

from __future__ import annotations

from collections.abc import Sequence

from farm.kit.bot.delivery import Delivered, Report, State
from farm.kit.repository import Author, NewCommit
from farm.kit.unit import Unit
from farm.kit.workspace import Branch
from farm.spec.problem import error


def commits_of(units: Sequence[Unit], base: str, when: int) -> list[NewCommit]:
    """One after the other, the first on ``base``."""
    steps = [step for unit in units for step in unit.steps]
    return [
        NewCommit(number - 1 if number else base, step.message, step.changes, when) for number, step in enumerate(steps)
    ]


def deliver_commits(
    branch: Branch, units: Sequence[Unit], author: Author, when: int, report: Report, *, push: bool, dry: bool = False
) -> None:
    """Commits, and pushes when asked; ``dry``: only to give the difference.

    Nothing is committed or pushed when there is nothing to change.
    FarmError ``push-refused`` when somebody else has pushed in the meantime: the next run begins with that.
    """
    report.head = branch.base
    if not units:
        return
    made = branch.repository.commit(commits_of(units, branch.base, when), author)
    report.head = made[-1]
    last = 0
    for unit in units:
        last += len(unit.steps)
        state: State = "planned" if dry else "pushed" if push else "committed"
        report.delivered.append(Delivered(unit, state, made[last - 1]))
    if dry:
        report.diff = branch.repository.diff(branch.head, report.head)
    elif push:
        push_branch(branch, report.head)


def push_branch(branch: Branch, commit: str) -> None:
    """Sets the branch on the server, if it still is what it was. FarmError ``push-refused``."""
    refused = branch.repository.push({branch.name: (commit, branch.head)})
    if why := refused.get(branch.name):
        hint = "somebody else pushed in the meantime, or the branch is protected: run again"
        raise error("push-refused", f"{branch.name}: the server refused the push: {why}", hint=hint)
