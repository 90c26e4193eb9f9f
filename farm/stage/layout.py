# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that stages are given out in, as users of Funtoo's mirrors know it.

``<build>/<arch>/<subarch>/<version>/<target>-<subarch>-<build>-<version>.tar.xz`` and what is beside it;
``<subarch>/<target>-latest.tar.xz`` leads to the newest. A release's ``.build-info.json`` is written last: where it is,
the release is complete. Everything here is found by looking; nothing is remembered elsewhere.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from farm.stage.model import Release
from farm.store.outputs import PART
from farm.store.session import locked

INFO = ".build-info.json"
LATEST = "-latest"

_DIGITS = re.compile(r"(\d+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Edition:
    """One version of a release. ``files``: names of all that belongs to it; ``info``: None where it is not complete."""

    release: Release
    version: str
    folder: Path
    files: tuple[str, ...]
    info: dict[str, Any] | None

    @property
    def complete(self) -> bool:
        """Whether all of it is in place."""
        return self.info is not None

    @property
    def stem(self) -> str:
        """What the names of its files begin with."""
        return self.release.stem(self.version)

    @property
    def size(self) -> int:
        """Bytes of its outputs."""
        return sum(int(one["size"]) for one in (self.info or {}).get("outputs", ()))


class Layout:
    """The layout in folder ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def folder(self, release: Release) -> Path:
        """``<build>/<arch>/<subarch>``."""
        return self.root / release.folder

    def latest_folder(self, release: Release) -> Path:
        """The link that is switched: to the folder of links of the newest version."""
        return self.folder(release) / f"{release.target}{LATEST}"

    def latest(self, release: Release) -> Edition | None:
        """The version given out as the newest: that of the link if it is complete, else the newest complete."""
        editions = [one for one in self.editions(release) if one.complete]
        with contextlib.suppress(OSError):
            linked = self.latest_folder(release).readlink().parts[0]
            editions = [one for one in editions if one.version == linked] or editions
        return editions[-1] if editions else None

    def editions(self, release: Release) -> list[Edition]:
        """All versions of a release, the oldest first."""
        return [one for one in self._in(self.folder(release)) if one.release.target == release.target]

    def all(self) -> list[Edition]:
        """All versions of all releases, by release, the oldest first."""
        found = []
        for build in _folders(self.root):
            for arch in _folders(build):
                for subarch in _folders(arch):
                    found += self._in(subarch)
        key = dataclasses.astuple
        return sorted(found, key=lambda one: (key(one.release), order(one.version)))

    def lock(self, *, wait: bool = True) -> contextlib.AbstractContextManager[bool]:
        """Holds the layout: whoever changes it. Yields whether it was had."""
        self.root.mkdir(parents=True, exist_ok=True)
        return locked(self.root / ".lock", wait=wait)

    def _in(self, subarch: Path) -> list[Edition]:
        found: list[Edition] = []
        for folder in _folders(subarch):
            found += _editions(subarch, folder)
        return sorted(found, key=lambda one: (one.release.target, order(one.version)))


def order(version: str) -> tuple[tuple[int, int, str], ...]:
    """Versions in the order of time: numbers count as numbers."""
    parts = (part for part in _DIGITS.split(version) if part)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


def _editions(subarch: Path, folder: Path) -> Iterator[Edition]:
    """What the folder of a version has: each file belongs to the target that its name begins with."""
    build, arch = subarch.parent.parent.name, subarch.parent.name
    end = f"-{subarch.name}-{build}-{folder.name}"
    names = sorted(path.name for path in folder.iterdir())
    targets: dict[str, list[str]] = {}
    for name in names:
        plain = name[1:].removesuffix(PART) if name.startswith(".") and name.endswith(PART) else name
        target, found, rest = plain.partition(end)
        if found and target and (not rest or rest.startswith(".")):
            targets.setdefault(target, []).append(name)
        elif plain.endswith(LATEST):
            targets.setdefault(plain.removesuffix(LATEST), []).append(name)
    for target, files in sorted(targets.items()):
        release = Release(target, build, arch, subarch.name)
        info = _info(folder / f"{release.stem(folder.name)}{INFO}", folder)
        yield Edition(release, folder.name, folder, tuple(files), info)


def _info(file: Path, folder: Path) -> dict[str, Any] | None:
    """The document, if it is one and all that it names is there."""
    try:
        info = json.loads(file.read_bytes())
        there = all((folder / one["file"]).exists() for one in info["outputs"])
        return info if isinstance(info, dict) and there else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _folders(path: Path) -> list[Path]:
    """Folders in a folder that are no links and not hidden."""
    if not path.is_dir():
        return []
    return sorted(p for p in path.iterdir() if not p.name.startswith(".") and not p.is_symlink() and p.is_dir())
