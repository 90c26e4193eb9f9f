# SPDX-License-Identifier: GPL-3.0-or-later
"""From the versions that upstream writes to the one that is generated. Pure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from farm.kit.atom import VERSION
from farm.kit.autogen.engines import render_text
from farm.kit.autogen.model import Atom, Transform
from farm.kit.autogen.regexes import matches, replace_all
from farm.spec.problem import FarmError, error
from farm.spec.version import LONGEST, Version

_TAG = re.compile(r"v[0-9]")
_REVISION = re.compile(r"-r\d+$")
_CONDITION = re.compile(r"(!<|!>|!=|>=|<=|>|<|=|~|!)?\s*(.*)")


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """A version as it will be, and as upstream writes it."""

    version: str
    original: str

    @property
    def order(self) -> Version:
        """What it is sorted by (PMS 3.3)."""
        return Version.parse(self.version)


def choose(atom: Atom, versions: Sequence[str], values: Mapping[str, Any]) -> Candidate:
    """The highest version that ``exclude`` leaves and all of ``selector`` admit.

    FarmError ``no-version`` says what there was.
    """
    candidates = sort_descending(transformed(atom, versions, values))
    kept = [one for one in candidates if not any(matches(regex, one.version) for regex in atom.excludes)]
    admitted = [_condition(atom, text) for text in atom.selector]
    for candidate in kept:
        if all(admits(candidate.order) for admits in admitted):
            return candidate
    raise _none(atom, versions, candidates, kept)


def _condition(atom: Atom, text: str) -> Callable[[Version], bool]:
    try:
        return condition_of(text)
    except FarmError as failure:
        problem = failure.problems[0]
        raise error(problem.code, f"{atom.name}: {problem.message}", place=atom.place, hint=problem.hint) from None


def transformed(atom: Atom, versions: Sequence[str], values: Mapping[str, Any]) -> list[Candidate]:
    """Each version after all transforms, in order, without a ``v`` before its first digit.

    Of those that become the same, the first that upstream names counts.
    """
    found: dict[str, Candidate] = {}
    steps = [_step(transform, values) for transform in atom.transforms] if versions else []
    for original in versions:
        version = original
        for step in steps:
            version = step(version)
        version = version[1:] if _TAG.match(version) else version
        found.setdefault(version, Candidate(version, original))
    return list(found.values())


def _step(transform: Transform, values: Mapping[str, Any]) -> Callable[[str], str]:
    match = render_text(transform.match, values, "transform.match")
    replace = render_text(transform.replace, values, "transform.replace")
    if transform.kind == "regex":
        return lambda text: replace_all(match, text, replace)
    return lambda text: text.replace(match, replace)


def sort_descending(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that are versions in the sense of PMS 3.2, the highest first; what is none is left out."""
    valid = [one for one in candidates if len(one.version) <= LONGEST and VERSION.fullmatch(one.version)]
    return sorted(valid, key=lambda one: (one.order, one.version), reverse=True)


def condition_of(text: str) -> Callable[[Version], bool]:
    """A selector's condition: ``>=2``, ``<3``, ``=1.2*``, ``~1.2``, ``!1.3``, ``!<2``. FarmError ``bad-selector``."""
    match = _CONDITION.fullmatch(text.strip())
    assert match is not None, "the expression matches every text"
    operator, version = match[1] or "=", match[2].strip()
    glob = version.endswith("*") and operator in ("=", "!", "!=")
    if not VERSION.fullmatch(version[:-1].rstrip(".") if glob else version):
        hint = "write an operator and a version: >=2, <3, =1.2*, ~1.2, !1.3"
        raise error("bad-selector", f"{text!r} is no condition", hint=hint)
    if glob:
        admits = _glob(version[:-1].rstrip("."))
        return admits if operator == "=" else (lambda other: not admits(other))
    wanted = Version.parse(version)
    return lambda other: _compare(operator, other, wanted)


def _compare(operator: str, other: Version, wanted: Version) -> bool:
    match operator:
        case ">=" | "!<":
            return other >= wanted
        case "<=" | "!>":
            return other <= wanted
        case ">":
            return other > wanted
        case "<":
            return other < wanted
        case "~":
            return other.base == wanted.base
        case "!" | "!=":
            return other != wanted
    return other == wanted


def _glob(prefix: str) -> Callable[[Version], bool]:
    """``=1.2*`` admits 1.2, 1.2.9 and 1.2_p1, and not 1.20 (PMS 8.3.1)."""

    def admits(other: Version) -> bool:
        text = other.text
        if not text.startswith(prefix):
            return False
        rest = text[len(prefix) :]
        return not (rest[:1].isdigit() and prefix[-1].isdigit())

    return admits


def with_revision(version: str, revision: int) -> str:
    """``version-rN``; 0 adds nothing."""
    return f"{_REVISION.sub('', version)}-r{revision}" if revision else version


def _none(atom: Atom, versions: Sequence[str], candidates: Sequence[Candidate], kept: Sequence[Candidate]) -> FarmError:
    if not versions:
        return error("no-version", f"{atom.name}: upstream has no version", place=atom.place, hint=_hint(atom))
    if not candidates:
        names = ", ".join(versions[:8])
        hint = "make versions of them with transform:"
        return error("no-version", f"{atom.name}: none of these is a version: {names}", place=atom.place, hint=hint)
    names = ", ".join(one.version for one in (kept or candidates)[:8])
    what = f"no version satisfies {', '.join(atom.selector)}" if kept else "every version is excluded"
    return error("no-version", f"{atom.name}: {what}; there are: {names}", place=atom.place)


def _hint(atom: Atom) -> str:
    forge = any(query.user for query in (atom.github, atom.gitlab, atom.forgejo))
    return "is query: right, and num_pages: large enough?" if forge else "look at the address in a browser"
