# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions that a kit masks: ``profiles/package.mask`` (a file, or a folder of files; PMS 5.2.8)."""

from __future__ import annotations

import re

from farm.kit.atom import Cpv
from farm.kit.condition import admitted
from farm.kit.ebuilds import Kit
from farm.spec.problem import FarmError

_PLACE = re.compile(r"profiles/(?:.+/)?package\.mask(?:/[^/]+)?")


def masks_of(kit: Kit, profiles: str = "") -> list[str]:
    """The atoms of every package.mask below ``profiles``, ``-atom`` taking one away in its own file.

    ``profiles``: only those of this folder below ``profiles/`` and of ``profiles/`` itself.
    """
    atoms: dict[str, None] = {}
    for path in kit.tree.entries:
        if not _PLACE.fullmatch(path) or not _counts(path, profiles):
            continue
        mine: dict[str, None] = {}
        for line in kit.read_text(path).splitlines():
            text = line.partition("#")[0].strip()
            if text.startswith("-"):
                mine.pop(text[1:], None)
            elif text:
                mine[text] = None
        atoms |= mine
    return list(atoms)


def _counts(path: str, profiles: str) -> bool:
    folder = path.removeprefix("profiles/").partition("package.mask")[0].strip("/")
    return not profiles or folder in ("", profiles.strip("/"))


def is_masked(cpv: Cpv, slot: str, masks: list[str]) -> bool:
    """Whether any atom is about an ebuild. Atoms that cannot be read are about nothing."""
    return any(_matches(cpv, slot, mask) for mask in masks if cpv.catpkg in mask)


def _matches(cpv: Cpv, slot: str, mask: str) -> bool:
    from farm.kit.condition import is_about

    try:
        return is_about(cpv, mask) and admitted(cpv, slot, [mask])
    except FarmError:
        return False
