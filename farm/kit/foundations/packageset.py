# SPDX-License-Identifier: GPL-3.0-or-later
"""Package sets: text files whose lines say which packages a kit takes (merge-scripts' ``package-sets/``).

| line | takes |
|---|---|
| ``cat/pkg`` | this package |
| ``cat/* -cat/a -cat/b`` | all of a category, without some |
| ``-cat/pkg`` | nothing: this kit never takes the package |
| ``@regex@:RE`` | packages whose name matches from its beginning |
| ``@depsincat@:cat/pkg[:cat,…]`` | what the package depends on, of these categories |
| ``@maintainer@:[cat:]mail`` | packages of this maintainer (metadata.xml) |
| ``@has_eclass@:e`` | packages that inherit the eclass, directly or not |
| ``@cat_has_eclass@:cat:e`` | those of a category |
| ``a/b -> c/d`` | a/b, which is c/d in the kit |
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from farm.spec.problem import FarmError, Place, Problem
from farm.spec.yamltext import decode

Kind = Literal["name", "glob", "regex", "depsincat", "maintainer", "eclass", "move"]
_ATOM = re.compile(r"[A-Za-z0-9_][\w+.-]*/[A-Za-z0-9_][\w+-]*", re.ASCII)
_GLOB = re.compile(r"[A-Za-z0-9_*?][\w+.*?-]*/[\w+*?-]+", re.ASCII)
_WILD = re.compile(r"[*?]")


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One line. ``value`` is a package, a glob, a mail address or an eclass; ``categories`` limit it (none: all).

    ``exclude``: packages that a glob leaves out; ``target``: what a moved package is called in the kit.
    """

    kind: Kind
    value: str
    pattern: re.Pattern[str] | None = None
    categories: tuple[str, ...] = ()
    exclude: frozenset[str] = frozenset()
    target: str = ""
    place: Place | None = dataclasses.field(default=None, compare=False)

    def claims(self, catpkg: str) -> bool:
        """Whether a package is this rule's, also one that no source has at present."""
        if self.pattern is None:
            return catpkg in (self.value, self.target)
        return catpkg not in self.exclude and self.pattern.match(catpkg) is not None


@dataclasses.dataclass(frozen=True, slots=True)
class PackageSet:
    """The rules of a kit in order, and what it never takes."""

    rules: tuple[Rule, ...] = ()
    skip: frozenset[str] = frozenset()


EVERYTHING = PackageSet((Rule("glob", "*/*", re.compile(r".*/.*")),))
"""What ``nokit`` takes when it has no package set."""


def find_package_set(folder: Path, release: str, kit: str) -> PackageSet | None:
    """The package set of a kit: ``RELEASE/KIT-packages``, else ``global/KIT-packages``, else ``KIT-packages``; each a
    file or a folder of files. None: there is none. FarmError with all that is wrong in them.
    """
    problems: list[Problem] = []
    packages = _first(folder, release, f"{kit}-packages")
    skips = _first(folder, release, f"{kit}-skip")
    rules: list[Rule] = []
    skip: set[str] = set()
    for file in packages or ():
        for rule in parse_lines(file, problems):
            if rule.kind == "name" and rule.value.startswith("-"):
                skip.add(rule.value[1:])
            else:
                rules.append(rule)
    for file in skips or ():
        skip |= {rule.value for rule in parse_lines(file, problems)}
    if problems:
        raise FarmError(problems)
    return None if packages is None else PackageSet(tuple(rules), frozenset(skip))


def parse_lines(file: Path, problems: list[Problem]) -> Iterator[Rule]:
    """The rules of one file. What is wrong goes into ``problems``."""
    try:
        text, found = decode(file.read_bytes(), str(file))
    except OSError as fault:
        text, found = "", [Problem("unreadable-file", f"cannot be read: {fault.strerror}", Place(str(file)))]
    problems += found
    for number, line in enumerate(text.splitlines(), 1):
        written = line.partition("#")[0].strip()
        if written:
            try:
                yield parse_rule(written, Place(str(file), number, 1))
            except FarmError as failure:
                problems += failure.problems


def parse_rule(line: str, place: Place | None = None) -> Rule:
    """One line. FarmError ``bad-rule``."""
    if line.startswith("@"):
        return _special(line, place)
    if "->" in line:
        old, _, new = (part.strip() for part in line.partition("->"))
        if not (_ATOM.fullmatch(old) and _ATOM.fullmatch(new)):
            raise _bad(line, place, "write: category/old -> category/new")
        return Rule("move", old, target=new, place=place)
    first, *others = line.split()
    if _WILD.search(first):
        return _glob(first, others, line, place)
    if others or not _ATOM.fullmatch(first.removeprefix("-")):
        raise _bad(
            line, place, "write category/name, category/* -category/name, @regex@:…, or category/a -> category/b"
        )
    return Rule("name", first, place=place)


def _glob(first: str, others: Sequence[str], line: str, place: Place | None) -> Rule:
    excluded = [word[1:] for word in others if word.startswith("-")]
    if len(excluded) != len(others) or not all(map(_ATOM.fullmatch, excluded)) or not _GLOB.fullmatch(first):
        raise _bad(line, place, "write what is left out behind it as -category/name")
    return Rule("glob", first, re.compile(fnmatch.translate(first)), exclude=frozenset(excluded), place=place)


def _special(line: str, place: Place | None) -> Rule:
    word, _, rest = line.partition(":")
    parts = rest.split(":")
    match word:
        case "@regex@" if rest:
            try:
                return Rule("regex", rest, re.compile(rest), place=place)
            except (re.error, RecursionError, OverflowError) as fault:
                raise _bad(line, place, f"no regular expression: {fault}") from None
        case "@depsincat@" if len(parts) in (1, 2) and _ATOM.fullmatch(parts[0]):
            categories = tuple(re.split(r"[,\s]+", parts[1])) if len(parts) == 2 else ()
            return Rule("depsincat", parts[0], categories=categories, place=place)
        case "@maintainer@" if len(parts) in (1, 2) and "@" in parts[-1]:
            return Rule("maintainer", parts[-1].lower(), categories=tuple(parts[:-1]), place=place)
        case "@has_eclass@" if len(parts) == 1 and rest:
            return Rule("eclass", rest, place=place)
        case "@cat_has_eclass@" if len(parts) == 2 and all(parts):
            return Rule("eclass", parts[1], categories=(parts[0],), place=place)
    forms = "@regex@:RE, @depsincat@:cat/pkg[:cat], @maintainer@:[cat:]mail, @has_eclass@:e, @cat_has_eclass@:cat:e"
    raise _bad(line, place, f"write one of {forms}")


def _bad(line: str, place: Place | None, hint: str) -> FarmError:
    return FarmError(Problem("bad-rule", f"{line[:80]!r} is no rule", place, hint))


def _first(folder: Path, release: str, name: str) -> list[Path] | None:
    """The files of the first of the places that is there."""
    for path in (folder / release / name, folder / "global" / name, folder / name):
        if path.is_dir():
            return sorted(file for file in path.rglob("*") if file.is_file())
        if path.is_file():
            return [path]
    return None
