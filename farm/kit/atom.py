# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and versions of ebuilds, in the order of the Package Manager Specification (PMS 8, chapter 3).

`farm.spec.version.Version` has that order; here only what PMS allows is taken, because a version is a file's name.
"""

from __future__ import annotations

import dataclasses
import functools
import re

from farm.spec.problem import error
from farm.spec.version import Version

CATEGORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_-]*?", re.ASCII)
_VERSION = r"[0-9]+(?:\.[0-9]+)*[a-z]?(?:_(?:alpha|beta|pre|rc|p)[0-9]*)*(?:-r[0-9]+)?"
VERSION = re.compile(_VERSION, re.ASCII)
SLOT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*", re.ASCII)
_PF = re.compile(rf"(?P<name>{NAME.pattern})-(?P<version>{_VERSION})", re.ASCII)
_REVISION = re.compile(r"-r([0-9]+)$")
LONGEST = 200
"""Characters in the longest name of an ebuild; file systems take 255 bytes."""


@functools.total_ordering
@dataclasses.dataclass(frozen=True, slots=True)
class Cpv:
    """One ebuild: category, package and version with its revision. Compares by name, then in PMS order."""

    category: str
    name: str
    version: str

    @property
    def catpkg(self) -> str:
        """``category/name``."""
        return f"{self.category}/{self.name}"

    @property
    def pf(self) -> str:
        """``name-version``, as PMS's PF (a revision 0 that is written stays written)."""
        return f"{self.name}-{self.version}"

    @property
    def path(self) -> str:
        """The ebuild's path in its kit."""
        return f"{self.category}/{self.name}/{self.pf}.ebuild"

    @property
    def revision(self) -> int:
        """The number after ``-r``, 0 without one."""
        found = _REVISION.search(self.version)
        return int(found[1]) if found else 0

    @property
    def order(self) -> Version:
        """What versions of one package are sorted by."""
        return Version.parse(self.version)

    def with_revision(self, number: int) -> Cpv:
        """The same version with another revision; 0 is not written."""
        base = _REVISION.sub("", self.version)
        return dataclasses.replace(self, version=f"{base}-r{number}" if number else base)

    def is_same_release(self, other: Cpv) -> bool:
        """Whether both are the same package and version, whatever their revisions."""
        return self.catpkg == other.catpkg and self.with_revision(0).order == other.with_revision(0).order

    def __str__(self) -> str:
        return f"{self.category}/{self.pf}"

    def __lt__(self, other: Cpv) -> bool:
        return (self.catpkg, self.order, self.version) < (other.catpkg, other.order, other.version)


def parse_cpv(text: str) -> Cpv:
    """Reads ``category/name-version``. FarmError ``bad-atom``."""
    category, slash, rest = text.partition("/")
    found = _PF.fullmatch(rest) if slash and len(rest) <= LONGEST and CATEGORY.fullmatch(category) else None
    if not found:
        raise error(
            "bad-atom", f"{text[:80]!r} is not category/name-version", hint="for example dev-libs/libusb-1.0.27-r1"
        )
    return Cpv(category, found["name"], found["version"])


def ebuild_of(path: str) -> Cpv | None:
    """The ebuild that a path ``category/name/name-version.ebuild`` is; None for every other path."""
    parts = path.split("/")
    if len(parts) != 3 or not parts[2].endswith(".ebuild") or not CATEGORY.fullmatch(parts[0]):
        return None
    found = _PF.fullmatch(parts[2].removesuffix(".ebuild")) if len(parts[2]) <= LONGEST else None
    if not found or found["name"] != parts[1]:
        return None
    return Cpv(parts[0], found["name"], found["version"])


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Wanted:
    """A package of a specification: ``category/name``, and the slot that it is restricted to, if any."""

    catpkg: str
    slot: str = ""

    def __str__(self) -> str:
        return f"{self.catpkg}:{self.slot}" if self.slot else self.catpkg


def parse_wanted(text: str) -> Wanted:
    """Reads ``category/name[:slot]``. FarmError ``bad-atom``."""
    catpkg, colon, slot = text.partition(":")
    category, slash, name = catpkg.partition("/")
    good = slash and CATEGORY.fullmatch(category) and NAME.fullmatch(name) and (not colon or SLOT.fullmatch(slot))
    if not good or _PF.fullmatch(name):
        raise error("bad-atom", f"{text[:80]!r} is not category/name[:slot]", hint="for example dev-libs/libusb:1")
    return Wanted(catpkg, slot)
