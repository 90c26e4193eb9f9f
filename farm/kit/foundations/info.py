# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``kit-info.json`` says of a release: order, stability and type of kits, and which branches are offered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from farm.kit.foundations.model import NOKIT, Kit, Release
from farm.kit.foundations.reading import read_foundations
from farm.kit.foundations.resolve import release_of
from farm.kit.release.documents import UNRATED, Ratings


def kit_info(release: Release) -> dict[str, Any]:
    """The document, as merge-scripts and ego have it. Deprecated branches are rated, and left out of release_defs."""
    kits = [kit for kit in release.kits if kit.name != NOKIT]
    order = list(dict.fromkeys(kit.name for kit in kits))
    settings = {name: _settings([kit for kit in kits if kit.name == name]) for name in sorted(order)}
    offered = {
        name: [k.branch for k in kits if k.name == name and k.stability != "deprecated"] for name in sorted(order)
    }
    return {
        "kit_order": order,
        "kit_settings": settings,
        "release_defs": {name: branches for name, branches in offered.items() if branches},
        "release_info": {"required": [dict(item) for item in release.required], "version": release.version},
    }


def python_settings(release: Release) -> dict[str, dict[str, str | None]]:
    """python-kit's branches with their preferred Python, the next one, and what is masked."""
    return {
        branch: {"primary": item.primary, "alternate": item.alternate or None, "mask": item.mask or None}
        for branch, item in sorted(release.python.items())
    }


def ratings_of(file: Path | None, name: str | None) -> Ratings:
    """What the foundations in ``file`` say of the kits of a release. FarmError as `read_foundations`, `release_of`."""
    if file is None:
        return UNRATED
    read = read_foundations(file, overlay_url="https://example.invalid/{overlay}")  # where they are is not needed here
    release = release_of(read, name)
    types = {kit: settings["type"] for kit, settings in kit_info(release)["kit_settings"].items()}
    stability: dict[tuple[str, str], str] = {(kit.name, kit.branch): kit.stability for kit in release.kits}
    return Ratings(stability, types, release.version, release.required)


def _settings(branches: list[Kit]) -> dict[str, Any]:
    """One kit's settings; a kit is ``indy`` when none of its branches is generated."""
    kind = "indy" if all(kit.type == "indy" for kit in branches) else "auto"
    return {"stability": {kit.branch: kit.stability for kit in branches}, "type": kind}
