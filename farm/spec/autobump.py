# SPDX-License-Identifier: GPL-3.0-or-later
"""``autobump.*`` labels: where a package's new versions come from, and how a tag becomes a version.

The labels are those of real trees (mocaccinoOS/desktop, mocaccinoOS/mocaccino-extra, mocaccinoOS/kernel-repo,
Luet-lab/luet-repo) and of their tools (luet's autobump-github extension, mudler/luet-autobumper). docs/bump.md has
the table, and what the farm does otherwise.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from typing import Literal

from farm.spec.model import Package
from farm.spec.problem import FarmError, Problem
from farm.spec.regex import compile_go
from farm.spec.version import LONGEST, RANKS, Version

Strategy = Literal["release", "tags", "refs", "release_tag", "git_hash", "snapshot", "custom", "git", "kit"]

STRATEGIES: Mapping[str, Strategy] = {
    "release": "release",
    "": "tags",
    "tag": "tags",
    "tags": "tags",
    "github_tag": "tags",
    "ref": "refs",
    "refs": "refs",
    "release_tag": "release_tag",
    "git_hash": "git_hash",
    "snapshot": "snapshot",
    "custom": "custom",
    "git": "git",
    "kit": "kit",
    "gentoo": "kit",
    "portage": "kit",
}
"""``autobump.strategy`` as real trees write it → what it means."""

_FORGE: frozenset[Strategy] = frozenset(("release", "tags", "refs", "release_tag"))
_YES = frozenset(("true", "yes", "1", "on"))
_DATE = re.compile(r"(?P<before>.*?)(?P<date>[0-9]{8})(?P<after>[^0-9+]*)")
_KIT_ATOM = re.compile(r"(?:[<>=~!]+)?(?P<atom>[A-Za-z0-9_][\w+.-]*/[A-Za-z0-9_][\w+-]*?)(?:-[0-9][\w.+-]*)?(?::.*)?")


@dataclasses.dataclass(frozen=True, slots=True)
class Watch:
    """Where the versions of one package come from. Empty texts: the label is not there.

    ``prefixes`` are taken off a tag, ``replace`` are Go regular expressions with what stands for each match.
    ``revdeps``: its reverse dependencies get the next build with each new version. ``kit`` is the package's name in a
    portage kit.
    """

    package: Package
    strategy: Strategy
    owner: str = ""
    repo: str = ""
    branch: str = ""
    tag: str = ""
    git: str = ""
    hook: str = ""
    checksum_hook: str = ""
    network: bool = False
    seed: str = ""
    prefixes: tuple[str, ...] = ()
    replace: tuple[tuple[re.Pattern[str], str], ...] = ()
    contains: re.Pattern[str] | None = None
    skip: tuple[str, ...] = ()
    prereleases: bool = False
    kit: str = ""

    def version_of(self, tag: str) -> str | None:
        """The version that a tag (or a hook's answer) stands for; None when it is none, or not wanted."""
        if len(tag) > LONGEST or (self.contains and not self.contains.search(tag)):
            return None
        text = re.sub(r"^[vV](?=[0-9])", "", tag.strip())
        for prefix in self.prefixes:
            text = text.removeprefix(prefix)
        for pattern, with_ in self.replace:
            text = pattern.sub(with_, text)
        text = re.sub(r"^[vV](?=[0-9])", "", text)
        if not text[:1].isdigit() or any(word in tag or word in text for word in self.skip):
            return None
        try:
            version = Version.parse(text)
        except FarmError:
            return None
        return None if not self.prereleases and is_prerelease(version) else text

    def newest(self, tags: Iterable[str]) -> str | None:
        """The highest version among tags; None when there is none."""
        versions = (version for tag in tags if (version := self.version_of(tag)))
        return max(versions, key=Version.parse, default=None)


def is_prerelease(version: Version) -> bool:
    """Whether it comes before the release that it names (``1.0_rc1``, ``1.0-dev``, ``1.0~x``)."""
    return any(token[0] < RANKS["rc"] + 1 for token in version.key[2])


def dated(current: str, date: str) -> str:
    """The version of a snapshot: ``date`` (YYYYMMDD) where the version up to now has one, else the date itself."""
    found = _DATE.fullmatch(current.partition("+")[0])
    return f"{found['before']}{date}{found['after']}" if found else date


def revdeps_wanted(package: Package) -> bool:
    """Whether its labels ask for the next build of all that is built upon it."""
    get = package.labels.get
    return any(get(f"autobump.{key}", "").lower() in _YES for key in ("revdeps", "reverse_dependencies"))


def watch(package: Package, *, kit: bool = False) -> Watch | None:
    """What the package's labels say; None when it has none, or ``autobump.ignore``.

    ``kit``: a package that is in a kit (``emerge.packages``) and says nothing else is watched there. FarmError with all
    that is wrong: ``bad-label``, ``missing-label``, ``bad-regex``.
    """
    labels = {key: value.strip() for key, value in package.labels.items()}
    if labels.get("autobump.ignore", "").lower() in _YES:
        return None
    reading = _Reading(package, labels)
    found = reading.watch(kit)
    if reading.problems:
        raise FarmError(reading.problems)
    return found


class _Reading:
    """One package's labels."""

    def __init__(self, package: Package, labels: Mapping[str, str]) -> None:
        self.package = package
        self.labels = labels
        self.problems: list[Problem] = []

    def watch(self, kit: bool) -> Watch | None:
        strategy = self._strategy(kit)
        if strategy is None:
            return None
        get = self._get
        found = Watch(
            self.package,
            strategy,
            owner=get("github.owner"),
            repo=get("github.repo"),
            branch=get("github.branch") or get("git.branch"),
            tag=get("github.tag"),
            git=get("git.url"),
            hook=get("autobump.version_hook") or get("autobump.hook"),
            checksum_hook=get("autobump.checksum_hook"),
            network=get("autobump.network").lower() in _YES,
            seed=get("autobump.seed"),
            prefixes=tuple(filter(None, (get("autobump.trim_prefix"), get("autobump.prefix")))),
            replace=self._replace(),
            contains=self._contains(),
            skip=self._skip(),
            prereleases=self._prereleases(),
            kit=self._kit(),
        )
        self._check(found)
        return found

    def _get(self, key: str) -> str:
        return self.labels.get(key, "")

    def _strategy(self, kit: bool) -> Strategy | None:
        written = self._get("autobump.strategy").lower()
        if "autobump.strategy" not in self.labels and not (self._get("github.owner") and self._get("github.repo")):
            if self._get("autobump.version_hook") or self._get("autobump.hook"):
                return "custom"
            if self._get("git.url"):
                return "git"
            return "kit" if kit and self._kit() else None
        if written not in STRATEGIES:
            known = ", ".join(sorted(filter(None, STRATEGIES)))
            self._wrong("bad-label", f"autobump.strategy {written!r} is none that the farm knows", f"one of {known}")
            return None
        return STRATEGIES[written]

    def _check(self, found: Watch) -> None:
        needs: dict[str, str] = {}
        if found.strategy in _FORGE or (found.strategy == "git_hash" and not found.git):
            needs = {"github.owner": found.owner, "github.repo": found.repo}
        if found.strategy == "release_tag":
            needs["github.tag"] = found.tag
        if found.strategy == "custom":
            needs = {"autobump.version_hook": found.hook}
        if found.strategy == "git":
            needs = {"git.url": found.git}
        if found.strategy == "kit":
            needs = {"emerge.packages": found.kit}
        if found.strategy == "git_hash" and "git.hash" not in self.labels:
            needs["git.hash"] = ""
        for key, value in needs.items():
            if not value:
                self._wrong("missing-label", f"strategy {found.strategy} needs the label {key}", f"add {key}")
        for key, value in (("github.owner", found.owner), ("github.repo", found.repo)):
            if value and not re.fullmatch(r"[\w.-]+", value):
                self._wrong("bad-label", f"{key} is {value!r}", "it is the name alone, without / and spaces")

    def _replace(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        data = self._json("autobump.string_replace", dict)
        pairs = data.items() if isinstance(data, dict) else ()
        texts = [(key, value) for key, value in pairs if isinstance(value, str)]
        if len(texts) != len(pairs):
            self._wrong("bad-label", "autobump.string_replace has values that are no texts")
        return tuple((pattern, _template(value)) for key, value in texts if (pattern := self._regex(key)))

    def _skip(self) -> tuple[str, ...]:
        data = self._json("autobump.skip_if_contains", list)
        return tuple(item for item in data or () if isinstance(item, str) and item)

    def _contains(self) -> re.Pattern[str] | None:
        written = self._get("autobump.version_contains")
        return self._regex(written) if written else None

    def _prereleases(self) -> bool:
        written = self._get("autobump.prereleases").lower()
        return written in _YES or (not written and is_prerelease(Version.parse(self.package.id.version)))

    def _kit(self) -> str:
        """The package's own name in the kit: the atom with its name, else the first that is named."""
        written = self._get("emerge.packages") or self._get("original.package.name")
        atoms = [found["atom"] for word in written.split() if (found := _KIT_ATOM.fullmatch(word))]
        own = [atom for atom in atoms if atom.partition("/")[2] == self.package.id.name]
        return next(iter([*own, *atoms]), "")

    def _json(self, key: str, kind: type) -> dict[str, object] | list[object] | None:
        written = self._get(key)
        if not written:
            return None
        try:
            data: object = json.loads(written)
        except (ValueError, RecursionError) as fault:
            data = None
            self._wrong("bad-label", f"{key} is no JSON: {fault}")
        else:
            if not isinstance(data, kind):
                self._wrong("bad-label", f"{key} has to be a JSON {'map' if kind is dict else 'list'}")
        return data if isinstance(data, dict | list) and isinstance(data, kind) else None

    def _regex(self, written: str) -> re.Pattern[str] | None:
        try:
            return compile_go(written)
        except FarmError as failure:
            problem = failure.problems[0]
            self._wrong(problem.code, problem.message, problem.hint)
            return None

    def _wrong(self, code: str, message: str, hint: str = "") -> None:
        id = str(self.package.id)
        self.problems.append(Problem(code, f"{id}: {message}", self.package.place, hint, package=id))


def _template(text: str) -> str:
    """Go's ``$1`` and ``${1}`` as Python's replacement has them."""
    escaped = text.replace("\\", "\\\\")
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda match: rf"\g<{match[1] or match[2]}>", escaped)
