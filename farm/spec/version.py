# SPDX-License-Identifier: GPL-3.0-or-later
"""The one order of versions: Gentoo's (PMS chapter 3.3) extended by anise's ``+build`` suffix.

A version reads as ``numbers letter suffixes -rREVISION +BUILD``, and that is also the order in which two
versions are compared, field by field. docs/versions.md has the rules and the table of differences from
what the Go code of luet answers.
"""

from __future__ import annotations

import dataclasses
import functools
import re

from farm.spec.problem import FarmError, error

LONGEST = 256
"""Characters in the longest version that is read; more can only be an accident."""

RANKS = {"dev": 1, "alpha": 2, "beta": 3, "pre": 4, "rc": 5, "p": 7}
"""Where a suffix stands; below `_RELEASE` it makes a version that comes before the release."""

_TILDE, _RELEASE, _WORD, _NUMBER = 0, 6, 8, 9

_SHAPE = re.compile(r"[a-z0-9]+(?:[._~+-][a-z0-9]+)*")
_KNOWN = r"(?:dev|alpha|beta|pre|rc|p(?=[0-9]))(?![a-z])"
_MAIN = re.compile(
    rf"(?:v(?=[0-9]))?(?P<numbers>[0-9]+(?:\.[0-9]+)*)?(?P<letter>(?!{_KNOWN})[a-z]+)?"
    r"(?P<rest>.*?)(?:-r(?P<revision>[0-9]+))?"
)
_TOKEN = re.compile(r"(?P<mark>[._~-]?)(?:(?P<word>[a-z]+)(?:[.-]?(?P<count>[0-9]+))?|(?P<number>[0-9]+))")
_PIECE = re.compile(r"[0-9]+|[a-z]+")

Part = int | tuple[int, str, int]
Token = tuple[int, str, int]
Key = tuple[tuple[Part, ...], str, tuple[Token, ...], int, tuple[Token, ...]]


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version: ``text`` as written, and what it is compared by.

    Two texts may be the same version (``1.0`` and ``1.0-r0``): they are equal and hash alike.
    """

    key: Key
    text: str = dataclasses.field(compare=False)

    @staticmethod
    def parse(text: str) -> Version:
        """The version that ``text`` means. Raises FarmError ``bad-version`` when it can mean none."""
        return _parse(text)

    @property
    def base(self) -> tuple[tuple[Part, ...], str, tuple[Token, ...]]:
        """What is left without revision and build: the same upstream release has the same base."""
        return self.key[:3]

    @property
    def plain(self) -> str:
        """The text in lower case and without a leading ``v``: what a glob is matched against."""
        text = self.text.lower()
        return text[1:] if re.match(r"v[0-9]", text) else text

    def __str__(self) -> str:
        return self.text


@functools.lru_cache(maxsize=1 << 16)
def _parse(text: str) -> Version:
    lowered = text.lower()
    if len(text) > LONGEST or not (text.isascii() and _SHAPE.fullmatch(lowered)):
        raise _bad(text)
    main, _, build = lowered.partition("+")
    match = _MAIN.fullmatch(main)
    assert match is not None, "every shape has a reading"
    suffixes = (*_suffixes(match["rest"]), (_RELEASE, "", 0))
    revision = int(match["revision"] or 0)
    return Version((_numbers(match["numbers"]), match["letter"] or "", suffixes, revision, _build(build)), text)


def _bad(text: str) -> FarmError:
    hint = "A version is made of letters and digits, with single . _ - + or ~ between them."
    if re.match(r"[<>=!]|.*[*,]", text):
        hint = "This looks like a selector. A package's own version has no operator and no '*'."
    return error("bad-version", f"'{text[:80]}' is not a version", hint=hint)


def _numbers(text: str | None) -> tuple[Part, ...]:
    """Numbers between dots. All but the first are fractions when they start with 0 (PMS algorithm 3.3)."""
    if not text:
        return ()
    first, *others = text.split(".")
    return (int(first), *((0, n.rstrip("0"), 0) if n[0] == "0" else (1, "", int(n)) for n in others))


def _suffixes(text: str) -> tuple[Token, ...]:
    return tuple(_token(match) for match in _TOKEN.finditer(text))


def _token(match: re.Match[str]) -> Token:
    mark, word, count = match["mark"], match["word"] or "", int(match["count"] or match["number"] or 0)
    if word in RANKS:
        return RANKS[word], "", count
    if mark == "~":
        return _TILDE, word, count
    return (_WORD, word, count) if word else (_NUMBER, "", count)


def _build(text: str) -> tuple[Token, ...]:
    """Digits compare as numbers and stand below words, as in semver; no build stands below any."""
    return tuple((0, "", int(piece)) if piece.isdigit() else (1, piece, 0) for piece in _PIECE.findall(text))
