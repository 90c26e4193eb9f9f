# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a meta-repo, byte for byte as mark-devkit writes them (Go's encoding/json; no newline at the end)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from farm.kit.model import ReleaseSpec, Source

EGO, VERSION = "2.7.2", 11
"""What mark-devkit writes into version.json: the ``ego`` that is needed, and the format's version."""

KITS_FOLDER = "/var/git/meta-repo/kits"
_ESCAPED = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


@dataclasses.dataclass(frozen=True, slots=True)
class Ratings:
    """What is known of kits: (kit, branch) → stability, kit → ``auto`` or ``indy``, and what version.json says.

    A branch without a rating is ``prime``, a kit without a type ``auto``, as mark-devkit writes all of them.
    """

    stability: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    version: int = VERSION
    required: Sequence[Mapping[str, str]] = ()

    def info(self) -> dict[str, Any]:
        """The content of version.json."""
        return {"required": [dict(item) for item in self.required] or [{"ego": EGO}], "version": self.version}


UNRATED = Ratings()


def documents(spec: ReleaseSpec, commits: Mapping[str, str], ratings: Ratings = UNRATED) -> dict[str, bytes]:
    """Path → content of every file of a release. ``commits``: name of a kit → its commit."""
    made = {
        "metadata/version.json": _json(ratings.info(), 2),
        "metadata/kit-info.json": _json(kit_info(spec.sources, ratings), 2),
        "metadata/kit-sha1.json": _json(kit_sha1(spec.sources, commits), 1),
        "repos.conf/default": f"[DEFAULT]\nmain-repo = {spec.main_kit}\n".encode(),
    }
    for source in spec.sources:
        made[f"repos.conf/{source.name}"] = _repos_conf(source)
    return made


def kit_info(sources: tuple[Source, ...], ratings: Ratings = UNRATED) -> dict[str, Any]:
    """kit-info.json: kits in order, their stability and type, their branches but those that are deprecated."""
    rated = {source.name: ratings.stability.get((source.name, source.branch), "prime") for source in sources}
    settings = {source.name: {"stability": {source.branch: rated[source.name]},
                              "type": ratings.types.get(source.name, "auto")} for source in sources}  # fmt: skip
    offered = [source for source in sources if rated[source.name] != "deprecated"]
    return {
        "kit_order": [source.name for source in sources],
        "kit_settings": dict(sorted(settings.items())),
        "release_defs": {source.name: [source.branch] for source in sorted(offered, key=lambda s: s.name)},
        "release_info": ratings.info(),
    }


def kit_sha1(sources: tuple[Source, ...], commits: Mapping[str, str]) -> dict[str, Any]:
    """kit-sha1.json: kit → branch → commit, or commit and depth where the specification has a depth."""
    return {source.name: {source.branch: _pin(source, commits[source.name])}
            for source in sorted(sources, key=lambda s: s.name)}  # fmt: skip


def _pin(source: Source, commit: str) -> Any:
    return commit if source.depth is None else {"sha1": commit, "depth": source.depth}


def _repos_conf(source: Source) -> bytes:
    priority = 1 if source.priority is None else source.priority
    lines = (f"[{source.name}]", f"location = {KITS_FOLDER}/{source.name}", "auto-sync = no", f"priority = {priority}")
    return ("\n".join(lines) + "\n").encode()


def _json(value: Any, indent: int) -> bytes:
    return json.dumps(value, indent=indent, ensure_ascii=False).translate(_ESCAPED).encode()


def pins_of(content: bytes) -> dict[str, dict[str, str]]:
    """Kit → branch → commit of a kit-sha1.json; empty for what is none."""
    try:
        data = json.loads(content)
    except ValueError:
        return {}
    found: dict[str, dict[str, str]] = {}
    for kit, branches in data.items() if isinstance(data, dict) else ():
        if isinstance(branches, dict):
            pins = {branch: pin.get("sha1") if isinstance(pin, dict) else pin for branch, pin in branches.items()}
            found[kit] = {branch: pin for branch, pin in pins.items() if isinstance(pin, str)}
    return found
