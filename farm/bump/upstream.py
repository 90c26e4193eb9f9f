# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks everybody upstream for new versions: forges, git remotes, kits, version hooks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from farm.bump import gitremote, kitversions
from farm.bump.forge import Forge
from farm.bump.hooks import Hook, HookRunner, checksum
from farm.spec.autobump import Watch, dated, watch
from farm.spec.bump import bump_version
from farm.spec.model import Package, PackageId, Tree
from farm.spec.problem import FarmError, Problem
from farm.spec.targets import find_versions
from farm.spec.version import Version

_AT_ONCE = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Raise:
    """A new version of a package, and new texts of labels that go with it. ``asked``: the caller named it."""

    package: Package
    version: str
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    asked: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Sources:
    """Where to ask. ``kits``: checkouts of portage kits; ``today``: the day, as YYYYMMDD."""

    forge: Forge
    hooks: HookRunner
    kits: Sequence[Path] = ()
    today: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What was found, and what could not be: problems, each with its package. ``asked``: how many packages were."""

    raises: tuple[Raise, ...] = ()
    problems: tuple[Problem, ...] = ()
    asked: int = 0


def watched(tree: Tree, atoms: frozenset[str] | None, *, kits: bool) -> tuple[list[Watch], list[Problem]]:
    """The packages that have somewhere to be asked for, of those in ``atoms`` (None: all); and bad labels."""
    found: list[Watch] = []
    problems: list[Problem] = []
    for id, package in sorted(tree.packages.items()):
        if atoms is not None and id.atom not in atoms:
            continue
        try:
            item = watch(package, kit=kits)
        except FarmError as failure:
            problems += failure.problems
        else:
            found += [item] if item else []
    return found, problems


def named(tree: Tree, wanted: Mapping[str, str]) -> list[Raise]:
    """The raises that a caller asks for: ``category/name`` → version. The highest version in the tree is raised.

    FarmError with all that cannot be: ``unknown-target``, ``bad-version``, ``not-newer``.
    """
    found: list[Raise] = []
    problems: list[Problem] = []
    for target, version in wanted.items():
        try:
            ids = find_versions(tree, target)
            have, new = Version.parse(ids[-1].version), Version.parse(version)
        except FarmError as failure:
            problems += failure.problems
            continue
        if any(id.version == version for id in ids):
            continue
        if new <= have:
            hint = "a lower version is written by hand: clients do not go back"
            problems.append(Problem("not-newer", f"{ids[-1]} is as new as {version}, or newer", hint=hint))
            continue
        found.append(_raise(tree.packages[ids[-1]], version, asked=True))
    if problems:
        raise FarmError(problems)
    return found


def ask(watches: Sequence[Watch], sources: Sources, known: Iterable[PackageId]) -> Found:
    """The new versions of packages. What fails for one package stops no other. ``known``: all that the tree has."""
    problems: list[Problem] = []
    hooked = _by_hook(watches, sources, problems)
    others = [item for item in watches if item.strategy != "custom"]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="upstream") as pool:
        answers = list(pool.map(lambda item: _ask(item, sources), others))
    raises: list[Raise] = [*hooked]
    for item, answer in zip(others, answers, strict=True):
        if isinstance(answer, FarmError):
            problems += _of(item, answer)
        elif answer:
            raises.append(answer)
    raises = _once(raises, known)
    raises = _with_checksums(raises, watches, sources, problems)
    return Found(tuple(sorted(raises, key=lambda r: r.package.id)), tuple(_told_once(problems)), len(watches))


def _ask(item: Watch, sources: Sources) -> Raise | FarmError | None:
    try:
        if item.strategy == "git_hash":
            return _by_commit(item, sources)
        if item.strategy == "snapshot":
            return _newer(item, dated(item.package.id.version, sources.today))
        return _newer(item, item.newest(_tags(item, sources)))
    except FarmError as failure:
        return failure


def _tags(item: Watch, sources: Sources) -> list[str]:
    forge, project = sources.forge, (item.owner, item.repo)
    match item.strategy:
        case "release":
            return [forge.latest_release(*project)]
        case "release_tag":
            return [forge.release(*project, item.tag)]
        case "refs":
            return forge.refs(*project)
        case "git":
            return gitremote.remote_tags(item.git)
        case "kit":
            return kitversions.versions(sources.kits, item.kit)
        case _:
            return forge.tags(*project)


def _by_commit(item: Watch, sources: Sources) -> Raise | None:
    """``git_hash``: the day of the newest commit, when it is another than the label ``git.hash`` says."""
    if item.git:
        commit, day = gitremote.remote_head(item.git, item.branch), sources.today
    else:
        commit, day = sources.forge.head(item.owner, item.repo, item.branch)
    if commit == item.package.labels.get("git.hash"):
        return None
    current = item.package.id.version
    version = dated(current, day)
    if Version.parse(version) <= Version.parse(current):
        version = bump_version(current)
    return _raise(item.package, version, {"git.hash": commit})


def _by_hook(watches: Sequence[Watch], sources: Sources, problems: list[Problem]) -> list[Raise]:
    hooks = {
        _hook(item, item.hook, _plain(item.package.id.version)): item for item in watches if item.strategy == "custom"
    }
    found = []
    for hook, answer in sources.hooks.answers(list(hooks)).items():
        item = hooks[hook]
        if isinstance(answer, FarmError):
            problems += _of(item, answer)
        elif newest := item.newest(answer):
            found += [made] if (made := _newer(item, newest)) else []
        else:
            said = "; ".join(answer)[:200] or "nothing"
            message = f"{item.package.id}: its version hook answered {said!r}, which is no version"
            problems.append(Problem("hook-failed", message, item.package.place, package=str(item.package.id)))
    return found


def _with_checksums(
    raises: Sequence[Raise], watches: Sequence[Watch], sources: Sources, problems: list[Problem]
) -> list[Raise]:
    """The raises with what checksum hooks say in ``package.checksum``; without those whose hook failed."""
    by_id = {item.package.id: item for item in watches}
    hooks = {}
    for made in raises:
        item = by_id[made.package.id]
        if item.checksum_hook:
            hooks[_hook(item, item.checksum_hook, made.version)] = made
    found = {made.package.id: made for made in raises}
    for hook, answer in (sources.hooks.answers(list(hooks)) if hooks else {}).items():
        made = hooks[hook]
        text = "" if isinstance(answer, FarmError) else checksum(answer)
        if text and "package.checksum" in made.package.labels:
            found[made.package.id] = dataclasses.replace(made, labels={**made.labels, "package.checksum": text})
            continue
        del found[made.package.id]
        said = "gave no checksum" if text == "" else "has no label package.checksum to write to"
        failure = answer if isinstance(answer, FarmError) else None
        problem = Problem("hook-failed", f"{made.package.id}: its checksum hook {said}", made.package.place)
        problems += _of(by_id[made.package.id], failure or FarmError(problem))
    return list(found.values())


def _hook(item: Watch, command: str, version: str) -> Hook:
    return Hook(item.package, command, version, item.network, item.seed)


def _newer(item: Watch, version: str | None) -> Raise | None:
    if version is None or Version.parse(version) <= Version.parse(item.package.id.version):
        return None
    return _raise(item.package, version)


def _raise(package: Package, version: str, labels: Mapping[str, str] | None = None, *, asked: bool = False) -> Raise:
    own = {"package.version": version} if "package.version" in package.labels else {}
    return Raise(package, version, own | dict(labels or {}), asked)


def _once(raises: Sequence[Raise], known: Iterable[PackageId]) -> list[Raise]:
    """Only one package of a name gets a version, the highest, and none that another has already."""
    taken = {(id.atom, Version.parse(id.version)) for id in known}
    found = []
    for made in sorted(raises, key=lambda r: (r.package.id.atom, Version.parse(r.package.id.version)), reverse=True):
        key = (made.package.id.atom, Version.parse(made.version))
        if key not in taken:
            taken.add(key)
            found.append(made)
    return found


def _of(item: Watch, failure: FarmError) -> list[Problem]:
    """The failure's problems, with the package they are about."""
    id = str(item.package.id)
    place = item.package.place
    return [dataclasses.replace(p, package=p.package or id, place=p.place or place) for p in failure.problems]


def _told_once(problems: Iterable[Problem]) -> list[Problem]:
    """A forge that takes no more requests is told once, with the number of packages that it concerns."""
    problems = list(problems)
    limited = [p for p in problems if p.code == "forge-rate-limit"]
    others = [p for p in problems if p.code != "forge-rate-limit"]
    if len(limited) > 1:
        message = f"{limited[0].message}; {len(limited)} packages were not asked for"
        limited = [dataclasses.replace(limited[0], message=message, place=None, package=None)]
    return sorted(others, key=lambda p: (p.package or "", p.code)) + limited


def _plain(version: str) -> str:
    """A version without its build."""
    return version.rpartition("+")[0] or version
