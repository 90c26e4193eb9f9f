# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller of ``farm bump`` names: packages to ask for upstream, and versions of packages."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from farm.bump.upstream import Raise
from farm.spec.model import Tree
from farm.spec.targets import find_targets

_VERSION = re.compile(r"(?P<target>[\w.+-]+/[\w.+-]+)=(?P<version>[^=].*)")


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """``atoms``: all packages named (None: none was, so all are meant); ``watched``: those to be asked for upstream;
    ``versions``: ``category/name`` → the version that it is to get."""

    atoms: frozenset[str] | None
    watched: frozenset[str] | None
    versions: Mapping[str, str]


def read(tree: Tree, words: Sequence[str]) -> Asked:
    """Reads ``category/name=version`` and targets. FarmError as `find_targets`."""
    matches = {word: _VERSION.fullmatch(word) for word in words}
    versions = {match["target"]: match["version"] for match in matches.values() if match}
    watched = frozenset(id.atom for id in find_targets(tree, [word for word, match in matches.items() if not match]))
    if not words:
        return Asked(None, None, {})
    return Asked(watched | versions.keys(), watched, versions)


def merged(named: Sequence[Raise], found: Sequence[Raise]) -> list[Raise]:
    """All raises; what was named takes the place of what was found for the same package."""
    ours = {made.package.id.atom for made in named}
    return [*named, *(made for made in found if made.package.id.atom not in ours)]
