# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditions of a specification: package atoms as portage has them, a leading ``!`` for their opposite.

``>=cat/pkg-2``, ``<…``, ``~…``, ``=cat/pkg-7.3*``, ``cat/pkg:3``, ``!<cat/pkg-2``; USE dependencies do not count.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any

from farm.kit.atom import Cpv
from farm.spec.problem import error


def check_condition(condition: str, catpkg: str = "") -> None:
    """FarmError ``bad-condition`` when ``condition`` is no atom, or one of another package than ``catpkg``."""
    _, atom = _parsed(condition)
    if catpkg and atom.cp != catpkg:
        hint = f"write it about {catpkg}, or move it to that package"
        raise error("bad-condition", f"condition {condition!r} is about {atom.cp}, not about {catpkg}", hint=hint)


def admitted(cpv: Cpv, slot: str, conditions: Iterable[str], *, ignore_slot: bool = False) -> bool:
    """Whether every condition holds for an ebuild of a slot. ``ignore_slot``: slots in conditions do not count."""
    return all(_holds(cpv, slot, condition, ignore_slot) for condition in conditions)


def is_about(cpv: Cpv, condition: str) -> bool:
    """Whether a condition is about the package of an ebuild. FarmError ``bad-condition``."""
    return bool(_parsed(condition)[1].cp == cpv.catpkg)


def _holds(cpv: Cpv, slot: str, condition: str, ignore_slot: bool) -> bool:
    from portage.dep import match_from_list
    from portage.versions import _pkg_str

    opposite, atom = _parsed(condition)
    if atom.cp != cpv.catpkg:
        return True
    wanted = atom.without_slot if ignore_slot and atom.slot else atom
    candidate = _pkg_str(str(cpv), slot=slot or "0")
    return bool(match_from_list(wanted, [candidate])) is not opposite


@functools.cache
def _parsed(condition: str) -> tuple[bool, Any]:
    from portage.dep import Atom
    from portage.exception import InvalidAtom

    text = condition.strip()
    opposite = text.startswith("!")
    text = re.sub(r"\[[^\]]*\]$", "", text.lstrip("!"))
    try:
        return opposite, Atom(text, allow_wildcard=False, allow_repo=False)
    except InvalidAtom:
        hint = "for example >=dev-libs/libusb-1.0.27, =dev-libs/libusb-1*, or !<dev-libs/libusb-1"
        raise error("bad-condition", f"{condition[:100]!r} is no package atom", hint=hint) from None
