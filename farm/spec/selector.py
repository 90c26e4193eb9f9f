# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions a requirement admits, and how a target is written. docs/versions.md has the rules."""

from __future__ import annotations

import dataclasses
import functools
import operator
import re
from collections.abc import Callable

from farm.spec.problem import FarmError, error
from farm.spec.version import Version

_TERM = re.compile(r"(?P<negation>!?)\s*(?P<operator>>=|<=|>|<|=|~|)\s*(?P<version>[^\s<>=!~]\S*)")
_NEGATED = {">=": "<", "<=": ">", ">": "<=", "<": ">=", "=": "!=", "": "!=", "~": "!~", "=*": "!=*"}


def _same_base(version: Version, wanted: Version) -> bool:
    return version.base == wanted.base


def _matches_glob(version: Version, wanted: Version) -> bool:
    """Whether ``version`` goes on from ``wanted`` with a new part: ``1.2*`` is not a glob for ``1.20``."""
    text, start = version.plain, wanted.plain
    if not text.startswith(start):
        return False
    seam = text[len(start) - 1 : len(start) + 1]
    return not (len(seam) == 2 and (seam.isdigit() or seam.isalpha()))


_TESTS: dict[str, Callable[[Version, Version], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    "!=": operator.ne,
    "~": _same_base,
    "!~": lambda version, wanted: not _same_base(version, wanted),
    "=*": _matches_glob,
    "!=*": lambda version, wanted: not _matches_glob(version, wanted),
}

Term = tuple[str, Version]


@dataclasses.dataclass(frozen=True, slots=True)
class Selector:
    """A set of versions: ``text`` as written, and the terms that must all hold. No term: any version."""

    text: str
    terms: tuple[Term, ...] = dataclasses.field(default=(), repr=False)

    @staticmethod
    def parse(text: str) -> Selector:
        """The selector that ``text`` means. Raises FarmError ``bad-selector``."""
        return _parse(text)

    @property
    def any(self) -> bool:
        """Whether every version is admitted, whatever it is."""
        return not self.terms

    def admits(self, version: Version) -> bool:
        """Whether ``version`` is one of those selected."""
        return all(_TESTS[name](version, wanted) for name, wanted in self.terms)

    def __str__(self) -> str:
        return self.text


@functools.lru_cache(maxsize=1 << 16)
def _parse(text: str) -> Selector:
    terms = [_term(part.strip(), text) for part in text.split(",")] if text.strip() else []
    return Selector(text, tuple(term for term in terms if term is not None))


def _term(part: str, text: str) -> Term | None:
    """One term, or None for one that admits everything."""
    match = _TERM.fullmatch(part)
    if match is None:
        raise _bad_selector(text)
    name, written = match["operator"], match["version"]
    if written.endswith("*"):
        name, written = _glob(name, written, text)
    if match["negation"]:
        name = _NEGATED[name]
    if (name, written) in {(">=", "0"), ("=*", "")}:
        return None
    try:
        return name or "=", Version.parse(written)
    except FarmError as problem:
        raise _bad_selector(text) from problem


def _glob(name: str, written: str, text: str) -> tuple[str, str]:
    if name not in {"", "="}:
        raise _bad_selector(text, "'*' goes with '=' or no operator only, as in '=1.2*'.")
    return "=*", written.removesuffix("*").rstrip(".")


def _bad_selector(text: str, hint: str = "") -> FarmError:
    hint = hint or "Write '*', '1.0', '>=1.0', '>1.0', '<=1.0', '<1.0', '!=1.0', '~1.0', '=1.0*' or '>=1.0,<2'."
    return error("bad-selector", f"'{text[:80]}' does not select versions", hint=hint)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What a user asks for. ``category`` is None when only a name was written.

    ``literal`` is set for ``cat/name-1.0`` without operator: a package that is really called ``name-1.0``
    has precedence. ``slot``, ``use`` and ``repository`` are kept of a Gentoo atom; spec trees have none.
    """

    category: str | None
    name: str
    selector: Selector
    literal: str = ""
    slot: str = ""
    use: tuple[str, ...] = ()
    repository: str = ""

    def __str__(self) -> str:
        atom = f"{self.category}/{self.name}" if self.category else self.name
        return atom if self.selector.any else f"{atom}@{self.selector}"


_PATH = re.compile(r"(?:(?P<category>[A-Za-z0-9_][\w+.-]*)/)?(?P<name>[A-Za-z0-9_][\w+.-]*)", re.ASCII)
_OPERATOR = re.compile(r"!?(?:>=|<=|>|<|=|~)|!")
_USE = re.compile(r"\[([^\[\]]*)\]")
_REPOSITORY = re.compile(r"::([\w.+-]+)", re.ASCII)
_SLOT = re.compile(r":([\w./=*+-]+)", re.ASCII)
_GENTOO = re.compile(r"[0-9]+(\.[0-9]+)*[a-z]?(_(alpha|beta|pre|rc|p)[0-9]*)*(-r[0-9]+)?(\+[a-z0-9.]+)?", re.ASCII)


def parse_target(text: str) -> Target:
    """The target that ``text`` means: ``[category/]name[@selector]`` or a Gentoo atom.

    Raises FarmError ``bad-target``, or ``bad-selector`` for what follows ``@``.
    """
    path, at, selector = text.strip().partition("@")
    if not at:
        return _atom(path)
    match = _PATH.fullmatch(path)
    if match is None or not selector.strip():
        raise _bad_target(text)
    return Target(match["category"], match["name"], Selector.parse(selector.strip()))


def _atom(text: str) -> Target:
    """``[operator]category/name[-version][*][:slot][[use]][::repository]`` (PMS chapter 8.2.6)."""
    rest, found = text, []
    for pattern in (_USE, _REPOSITORY, _SLOT):
        found.append(match[1] if (match := pattern.search(rest)) else "")
        rest = pattern.sub("", rest, count=1)
    use, repository, slot = found
    target = _versioned(rest, text)
    flags = tuple(flag.strip() for flag in use.split(",") if flag.strip())
    return dataclasses.replace(target, slot=slot, use=flags, repository=repository)


def _versioned(rest: str, text: str) -> Target:
    sign = match[0] if (match := _OPERATOR.match(rest)) else ""
    body = rest[len(sign) :]
    star = "*" if sign and body.endswith("*") else ""
    path = _PATH.fullmatch(body.removesuffix(star))
    if path is None:
        raise _bad_target(text)
    name, version = _split_name(path["name"], liberal=bool(sign))
    if sign and not version:
        raise _bad_target(text, f"'{sign}' needs a version, as in '{sign}category/name-1.0'.")
    literal = path["name"] if version and not sign else ""
    return Target(path["category"], name, Selector.parse(sign + version + star), literal)


def _split_name(name: str, liberal: bool) -> tuple[str, str]:
    """Name and version of ``name-version``: split at the first hyphen that a version in Gentoo's form follows.

    An operator says that there is a version: then (``liberal``) any version that starts with a digit will do.
    """
    starts = [at.end() for at in re.finditer(r"-(?=[0-9])", name) if at.start() > 0]
    exact = [at for at in starts if _GENTOO.fullmatch(name, at)]
    chosen = (exact or (starts if liberal else []))[:1]
    return (name[: chosen[0] - 1], name[chosen[0] :]) if chosen else (name, "")


def _bad_target(text: str, hint: str = "") -> FarmError:
    hint = hint or "Write 'category/name', 'category/name@1.0', 'category/name@>=1.0' or '>=category/name-1.0'."
    return error("bad-target", f"'{text[:80]}' is not a target", hint=hint)
