# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions of a package a portage kit has, by the names of its ebuilds (PMS 3.2, 4.3). Nothing is run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from farm.spec.problem import FarmError, Problem, error
from farm.spec.version import Version

_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)*[a-z]?(?:_(?:alpha|beta|pre|rc|p)[0-9]*)*(?:-r[0-9]+)?")
_LIVE = re.compile(r"(?:.*\.)?9{4,}(?:\D.*)?")


def check_kits(kits: Sequence[Path]) -> None:
    """FarmError with all folders that are no kits: ``no-kit``."""
    hint = "name the checkout of a kit: it has profiles/repo_name or metadata/layout.conf"
    marks = ("profiles/repo_name", "metadata/layout.conf")
    bad = [kit for kit in kits if not any((kit / mark).is_file() for mark in marks)]
    if bad:
        raise FarmError([Problem("no-kit", f"{kit} is no portage kit", hint=hint) for kit in bad])


def versions(kits: Sequence[Path], atom: str) -> list[str]:
    """All versions of ``category/name`` in kits, without live ones (9999). FarmError ``not-in-kit``."""
    category, _, name = atom.partition("/")
    files = [file for kit in kits for file in (kit / category / name).glob("*.ebuild")]
    found = [file.stem.removeprefix(f"{name}-") for file in files if file.stem.startswith(f"{name}-")]
    good = sorted({text for text in found if _VERSION.fullmatch(text) and not is_live(text)}, key=Version.parse)
    if not good:
        where = ", ".join(map(str, kits)) or "no kit (--from-kit)"
        what = "only live versions (9999)" if found else "no ebuild"
        raise error("not-in-kit", f"{where}: {what} of {atom}", hint="compare the label emerge.packages")
    return good


def is_live(version: str) -> bool:
    """Whether it stands for whatever upstream has at the time: a component of four or more nines."""
    return _LIVE.fullmatch(version.partition("-r")[0]) is not None
