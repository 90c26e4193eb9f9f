# SPDX-License-Identifier: GPL-3.0-or-later
"""``farm kit bump-release`` pins the kits' present commits; ``revert-release`` goes back to an earlier pin."""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from farm.kit.bot.direct import push_branch
from farm.kit.git import Git, origin_of
from farm.kit.model import ReleaseSpec, Source
from farm.kit.pushing import list_branches
from farm.kit.release.documents import UNRATED, Ratings, documents, pins_of
from farm.kit.repository import Author, NewCommit
from farm.kit.run import clock
from farm.kit.tokens import Servers
from farm.kit.tree import FILE, Tree
from farm.kit.workspace import Branch, Workspace
from farm.spec.problem import FarmError, Problem, error

FIRST, LATER = "Bump first release :champagne:!", "Bump kits updates"
_PINS = "metadata/kit-sha1.json"

Contents = dict[str, tuple[str, bytes] | None]


@dataclasses.dataclass(frozen=True)
class ReleaseOptions:
    """What the command line says."""

    to: Path
    servers: Servers = dataclasses.field(default_factory=Servers)
    author: Author = dataclasses.field(default_factory=Author)
    push: bool = False
    dry_run: bool = False
    depth: int = 5
    concurrency: int = 3
    keep: bool = False


@dataclasses.dataclass(frozen=True)
class Released:
    """What became of the meta-repo. ``moved``: kit → (old, new commit; ``""`` for none)."""

    changed: bool
    pushed: bool
    head: str
    moved: Mapping[str, tuple[str, str]]
    diff: str
    problems: tuple[Problem, ...] = ()

    def news(self) -> list[str]:
        """What others want to hear of."""
        return [f"[meta-repo] {self.head[:12]}: {', '.join(self.moved) or 'other files'}"] if self.pushed else []

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        moved = {kit: {"from": old, "to": new} for kit, (old, new) in self.moved.items()}
        return {"changed": self.changed, "pushed": self.pushed, "head": self.head, "moved": moved}


def bump_release(spec: ReleaseSpec, options: ReleaseOptions, ratings: Ratings = UNRATED) -> Released:
    """Writes, commits and pushes, unless nothing changed. No kit is cloned: the server is asked for its branch.

    ``ratings``: what is known of the kits' branches. FarmError: ``no-such-branch`` of every kit without the branch,
    ``push-refused``, and what git says.
    """
    servers = options.servers.aiming_at(spec.url)
    commits = heads(spec.sources, servers, options.concurrency)
    with Workspace(options.to, servers, depth=options.depth, keep=options.keep) as work:
        branch = work.target(spec.name, spec.url, spec.branch, depth=options.depth)
        changes = _changes(branch.repository.tree(branch.head), documents(spec, commits, ratings))
        return _write(work, branch, spec, changes, FIRST if branch.is_new else LATER, options)


def revert_release(spec: ReleaseSpec, options: ReleaseOptions, *, to: str) -> Released:
    """Goes back to what the meta-repo was at ``to``: a commit (or the beginning of its id), or a date.

    A new commit is made on top, so that clients that only go forward take it. All files that bump-release writes go
    back. FarmError ``no-such-pin`` when there is no such commit, or it has no pins.
    """
    servers = options.servers.aiming_at(spec.url)
    with Workspace(options.to, servers, depth=0, keep=options.keep) as work:
        branch = work.target(spec.name, spec.url, spec.branch)
        if branch.is_new:
            raise error("no-such-branch", f"{spec.url} has no branch {spec.branch!r}: there is nothing to go back to")
        commit = find_pin(branch, to)
        old = branch.repository.tree(commit)
        wanted = {path: old.read(path) for path in old.entries if _is_ours(path)}
        changes = _changes(branch.repository.tree(branch.head), wanted)
        message = f"Revert kits to {commit[:12]}\n\nThe pins of {_day(branch, commit)}."
        return _write(work, branch, spec, changes, message, options)


def find_pin(branch: Branch, to: str) -> str:
    """The meta-repo's commit that ``to`` means: an id, or the last one before the end of a date. See above."""
    history = branch.repository.log(branch.head, _PINS)
    if re.fullmatch(r"\d{4}-\d\d-\d\d(?:[T ].*)?", to):
        end = _end_of(to)
        found = [commit for commit, when, _ in history if when <= end]
    elif re.fullmatch(r"[0-9a-f]{4,64}", to):
        full = branch.repository.git.finish(("rev-list", branch.head))[0].decode().split()
        found = [commit for commit in full if commit.startswith(to)]
        found = found if len(found) == 1 else []
    else:
        raise error("bad-pin", f"{to!r} is neither a commit nor a date", hint="write 2026-03-01, or a commit's id")
    if not found or _PINS not in branch.repository.tree(found[0]).entries:
        listed = "".join(f"\n{commit[:12]}  {_stamp(when)}  {subject}" for commit, when, subject in history[:10])
        raise error("no-such-pin", f"the meta-repo has no pins at {to}", hint=f"there are: {listed}")
    return found[0]


def heads(sources: tuple[Source, ...], servers: Servers, concurrency: int) -> dict[str, str]:
    """Name of a kit → the commit of its branch, or what the specification pins. FarmError with all problems."""
    with ThreadPoolExecutor(max(1, concurrency)) as pool:
        found = list(pool.map(lambda source: _head(source, servers), sources))
    problems = [problem for one in found if isinstance(one, FarmError) for problem in one.problems]
    if problems:
        raise FarmError(problems)
    return {source.name: str(one) for source, one in zip(sources, found, strict=True)}


def _head(source: Source, servers: Servers) -> str | FarmError:
    if source.commit:
        return source.commit
    credentials = servers.of(source.url).credentials
    origin = origin_of(source.url)
    git = Git(None, {origin: credentials} if origin and credentials.token else {})
    try:
        branches = list_branches(git, source.url)
    except FarmError as failure:
        return FarmError(dataclasses.replace(p, message=f"{source.name}: {p.message}", place=source.place)
                         for p in failure.problems)  # fmt: skip
    if source.branch not in branches:
        hint = f"branches there: {', '.join(sorted(branches)[:20]) or 'none'}"
        message = f"{source.name}: {source.url} has no branch {source.branch!r}"
        return FarmError(Problem("no-such-branch", message, source.place, hint))
    return branches[source.branch]


def _is_ours(path: str) -> bool:
    return path.startswith("repos.conf/") or path in (
        "metadata/version.json",
        "metadata/kit-info.json",
        _PINS,
    )


def _changes(tree: Tree, wanted: Mapping[str, bytes]) -> Contents:
    """What differs, and files of ``repos.conf`` that are no kit's any more."""
    changes: Contents = {path: (FILE, content) for path, content in wanted.items()
                         if path not in tree.entries or tree.read(path) != content}  # fmt: skip
    gone = (path for path in tree.entries if path.startswith("repos.conf/") and path not in wanted)
    return {**changes, **dict.fromkeys(gone)}


def _write(
    work: Workspace, branch: Branch, spec: ReleaseSpec, changes: Contents, message: str, options: ReleaseOptions
) -> Released:
    if not changes:
        return Released(False, False, branch.head, {}, "", spec.problems)
    moved = _moved(branch, changes)
    if branch.is_new:
        work.begin(branch, spec.name, options.author, clock())
    head = branch.repository.commit([NewCommit(branch.base, message, changes, clock())], options.author)[0]
    diff = branch.repository.diff(branch.head, head)
    push = options.push and not options.dry_run
    if push:
        push_branch(branch, head)
    if options.keep and not options.dry_run:
        work.check_out(branch, head, spec.name)
    return Released(True, push, head, moved, diff, spec.problems)


def _moved(branch: Branch, changes: Contents) -> dict[str, tuple[str, str]]:
    tree = branch.repository.tree(branch.head)
    before = _flat(tree.read(_PINS) if _PINS in tree.entries else b"")
    change = changes.get(_PINS)
    after = _flat(change[1]) if change else before
    names = sorted(before.keys() | after.keys())
    return {name: (before.get(name, ""), after.get(name, "")) for name in names if before.get(name) != after.get(name)}


def _flat(content: bytes) -> dict[str, str]:
    return {kit: next(iter(pins.values()), "") for kit, pins in pins_of(content).items()}


def _end_of(text: str) -> float:
    """Seconds of a date's end, or of a time; UTC where no zone is written. FarmError ``bad-pin``."""
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise error("bad-pin", f"{text!r} is no date", hint="write 2026-03-01, or 2026-03-01T12:00") from None
    when = when if when.tzinfo else when.replace(tzinfo=datetime.UTC)
    return when.timestamp() + (86399 if len(text) == 10 else 0)


def _stamp(when: int) -> str:
    return datetime.datetime.fromtimestamp(when, datetime.UTC).strftime("%Y-%m-%d %H:%M")


def _day(branch: Branch, commit: str) -> str:
    return _stamp(int(branch.repository.git.text("log", "-n1", "--format=%ct", commit)))
