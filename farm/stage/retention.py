# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes old versions from a layout, never the newest complete one of a release.

Killed at any moment: ``.build-info.json`` goes first, so what is half removed is incomplete, and goes the next time.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from farm.spec.problem import error
from farm.stage.layout import INFO, Edition, Layout
from farm.stage.model import Release
from farm.store.removal import mounts_below, remove_tree


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a version, and why."""

    edition: Edition
    keep: bool
    why: str

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        one = self.edition
        named = {**dataclasses.asdict(one.release), "version": one.version, "complete": one.complete}
        return {**named, "size": one.size, "keep": self.keep, "why": self.why}


def verdicts(layout: Layout, keep: int, stale: float, now: float) -> list[Verdict]:
    """What is to be kept: of each release the ``keep`` newest complete versions (at least one), and what is linked.

    Incomplete versions are kept while they are younger than ``stale`` seconds: somebody may be at work on them.
    """
    found: list[Verdict] = []
    releases: dict[Release, list[Edition]] = {}
    for edition in layout.all():
        releases.setdefault(edition.release, []).append(edition)
    for release, editions in releases.items():
        found += _of_release(layout, release, editions, max(keep, 1), stale, now)
    return found


def remove(layout: Layout, judged: Sequence[Verdict]) -> list[Edition]:
    """Removes what is not to be kept; what was removed. FarmError ``mounted``, ``other-file-system``."""
    removed = []
    with layout.lock():
        for one in judged:
            if not one.keep:
                _remove(one.edition)
                removed.append(one.edition)
    return removed


def _of_release(
    layout: Layout, release: Release, editions: Sequence[Edition], keep: int, stale: float, now: float
) -> list[Verdict]:
    complete = [one for one in editions if one.complete]
    newest = complete[-keep:]
    linked = layout.latest(release)
    made = []
    for one in editions:
        if one in newest:
            place = len(complete) - complete.index(one)
            made.append(Verdict(one, True, "the newest complete one" if place == 1 else f"number {place} of {keep}"))
        elif linked and one.version == linked.version:
            made.append(Verdict(one, True, "the latest link leads to it"))
        elif one.complete:
            made.append(Verdict(one, False, f"there are {keep} newer complete ones"))
        elif _age(one, now) < stale:
            made.append(Verdict(one, True, "incomplete, but somebody may be at work on it"))
        else:
            made.append(Verdict(one, False, "incomplete, and nobody works on it"))
    return made


def _age(edition: Edition, now: float) -> float:
    """Seconds since anything of it changed."""
    times = [edition.folder.stat().st_mtime]
    for name in edition.files:
        with contextlib.suppress(OSError):
            times.append((edition.folder / name).lstat().st_mtime)
    return now - max(times)


def _remove(edition: Edition) -> None:
    if found := mounts_below(edition.folder.resolve()):
        raise error("mounted", f"{edition.folder} stays: {found[0]} is mounted", hint=f"umount {found[0]}")
    (edition.folder / f"{edition.stem}{INFO}").unlink(missing_ok=True)
    for name in edition.files:
        remove_tree(edition.folder / name)
    _remove_empty(edition.folder)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
