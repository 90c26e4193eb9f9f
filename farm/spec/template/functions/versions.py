# SPDX-License-Identifier: GPL-3.0-or-later
"""sprig's semver and semverCompare: versions and constraints of github.com/Masterminds/semver/v3."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

from farm.spec.template.registry import define
from farm.spec.template.values import Fault, Struct, Value

_TAIL = r"(-([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?"
_VERSION = re.compile(rf"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?{_TAIL}\Z")
_PART = r"[0-9|x|X|\*]+"
_WILD = rf"v?({_PART})(\.{_PART})?(\.{_PART})?{_TAIL}"
_PLAIN_WILD = re.sub(r"\((?!\?)", "(?:", _WILD)
_OPERATORS = r"(?:!=|>=|=>|<=|=<|~>|=|>|<|~|\^|)"
_ONE = re.compile(rf"\s*({_OPERATORS})\s*({_WILD})\s*\Z")
_FIND = re.compile(rf"{_OPERATORS}\s*{_PLAIN_WILD}")
_RANGE = re.compile(rf"\s*({_PLAIN_WILD})\s+-\s+({_PLAIN_WILD})\s*")
_MAX_LENGTH = 1000


@dataclasses.dataclass(frozen=True)
class Version(Struct):
    """A semantic version; metadata plays no part in comparisons."""

    major: int
    minor: int
    patch: int
    prerelease: str
    metadata: str
    original: str

    go_type = "*semver.Version"

    def __str__(self) -> str:
        text = f"{self.major}.{self.minor}.{self.patch}"
        text += f"-{self.prerelease}" if self.prerelease else ""
        return text + (f"+{self.metadata}" if self.metadata else "")

    @property
    def key(self) -> tuple[object, ...]:
        """What versions are ordered by: a release comes after its pre-releases, numbers before words."""
        parts = [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in self.prerelease.split(".") if p]
        return (self.major, self.minor, self.patch, not self.prerelease, parts)

    def member(self, name: str) -> Callable[..., Value] | None:
        plain = dataclasses.replace(self, prerelease="", metadata="")
        members: dict[str, Callable[..., Value]] = {
            "Major": lambda: self.major,
            "Minor": lambda: self.minor,
            "Patch": lambda: self.patch,
            "Prerelease": lambda: self.prerelease,
            "Metadata": lambda: self.metadata,
            "Original": lambda: self.original,
            "String": lambda: str(self),
            "Compare": lambda other: (self.key > other.key) - (self.key < other.key),
            "Equal": lambda other: self.key == other.key,
            "LessThan": lambda other: self.key < other.key,
            "GreaterThan": lambda other: self.key > other.key,
            "IncMajor": lambda: dataclasses.replace(plain, major=self.major + 1, minor=0, patch=0),
            "IncMinor": lambda: dataclasses.replace(plain, minor=self.minor + 1, patch=0),
            "IncPatch": lambda: plain if self.prerelease else dataclasses.replace(plain, patch=self.patch + 1),
        }
        return members.get(name)


def version(text: str) -> Version:
    """A version such as ``v1.2.3-rc.1+build``; minor and patch may be left out. Raises Fault."""
    match = _VERSION.match(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise Fault(f"invalid semantic version {text!r}", "semantic versions are like 1.2.3 or 1.2.3-rc.1")
    major, minor, patch, _, prerelease, _, metadata = match.groups()
    parts = (prerelease or "").split(".")
    if any(part.isdigit() and part != "0" and part.startswith("0") for part in parts):
        raise Fault(f"invalid semantic version {text!r}: a number of the prerelease starts with 0")
    return Version(int(major), int(minor or 0), int(patch or 0), prerelease or "", metadata or "", text)


@dataclasses.dataclass(frozen=True, slots=True)
class _Constraint:
    """One comparison. ``open_minor``, ``open_patch``: wildcards or left out; ``open``: any of them is."""

    operator: str
    base: Version
    open: bool
    open_minor: bool
    open_patch: bool

    def admits(self, version: Version) -> bool:
        if version.prerelease and not self.base.prerelease and (self.operator != "!=" or self.open):
            return False
        return _CHECKS[self.operator](self, version)

    def equal(self, version: Version) -> bool:
        return self.tilde(version) if self.open else version.key == self.base.key

    def different(self, version: Version) -> bool:
        if not self.open:
            return version.key != self.base.key
        if self.base.major != version.major:
            return True
        if self.open_minor:
            return False
        if self.base.minor != version.minor:
            return True
        if self.open_patch:
            return version.prerelease != self.base.prerelease
        return version.key != self.base.key

    def greater(self, version: Version) -> bool:
        if not self.open or version.major != self.base.major:
            return version.key > self.base.key if not self.open else version.major > self.base.major
        if self.open_minor:
            return False
        if self.open_patch:
            return version.minor > self.base.minor
        return version.key > self.base.key

    def at_most(self, version: Version) -> bool:
        if not self.open:
            return version.key <= self.base.key
        if version.major > self.base.major:
            return False
        return not (version.major == self.base.major and version.minor > self.base.minor and not self.open_minor)

    def tilde(self, version: Version) -> bool:
        base = self.base
        if version.key < base.key:
            return False
        if not (base.major or base.minor or base.patch or self.open_minor or self.open_patch):
            return True
        return version.major == base.major and (version.minor == base.minor or self.open_minor)

    def caret(self, version: Version) -> bool:
        base = self.base
        if version.key < base.key:
            return False
        if base.major or self.open_minor:
            return version.major == base.major
        if version.major:
            return False
        if base.minor or self.open_patch:
            return version.minor == base.minor
        return not version.minor and base.patch == version.patch


_CHECKS: dict[str, Callable[[_Constraint, Version], bool]] = {
    "": _Constraint.equal,
    "=": _Constraint.equal,
    "!=": _Constraint.different,
    ">": _Constraint.greater,
    "<": lambda constraint, version: version.key < constraint.base.key,
    ">=": lambda constraint, version: version.key >= constraint.base.key,
    "=>": lambda constraint, version: version.key >= constraint.base.key,
    "<=": _Constraint.at_most,
    "=<": _Constraint.at_most,
    "~": _Constraint.tilde,
    "~>": _Constraint.tilde,
    "^": _Constraint.caret,
}


def _constraint(text: str) -> _Constraint:
    match = _ONE.match(text)
    if match is None:
        raise Fault(f"improper constraint: {text}")
    operator, _, major, minor, patch, tail = match.groups()[:6]
    wild = [not part or part.lstrip(".") in ("x", "X", "*") for part in (major, minor, patch)]
    tail = tail or ""
    if wild[0]:
        return _Constraint(operator, version(f"0.0.0{tail}"), True, False, False)
    if wild[1]:
        return _Constraint(operator, version(f"{major}.0.0{tail}"), True, True, False)
    if wild[2]:
        return _Constraint(operator, version(f"{major}{minor}.0{tail}"), True, False, True)
    return _Constraint(operator, version(match[2]), False, False, False)


def _all_of(text: str) -> list[_Constraint]:
    """The constraints of ``text``, separated by commas or spaces."""
    if not text.strip():
        raise Fault("improper constraint: it is empty", "* admits every version")
    found, position = [], 0
    stripped = text.strip()
    while position < len(stripped):
        match = _FIND.match(stripped, position)
        if match is None:
            raise Fault(f"improper constraint: {text}")
        found.append(_constraint(match.group()))
        separator = re.compile(r"\s*,\s*|\s+").match(stripped, match.end())
        if separator is None and match.end() < len(stripped):
            raise Fault(f"improper constraint: {text}")
        position = separator.end() if separator else match.end()
    return found


def _compare(constraint: str, text: str) -> bool:
    if len(constraint) > _MAX_LENGTH:
        raise Fault("improper constraint: it is too long")
    spans = _RANGE.sub(lambda match: f">= {match[1]}, <= {match[2]}", constraint)
    alternatives = [_all_of(part) for part in spans.split("||")]
    wanted = version(text)
    return any(all(one.admits(wanted) for one in group) for group in alternatives)


define("semver", "string", version)
define("semverCompare", "string string", _compare)
