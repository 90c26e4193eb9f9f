# SPDX-License-Identifier: GPL-3.0-or-later
"""What overlays and fixups really hold: files of commits, and the metadata of their ebuilds."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from farm.kit.ebuilds import Kit as Files
from farm.kit.foundations.model import Kit, Overlay
from farm.kit.metadata.entry import Metadata
from farm.kit.metadata.reading import MetadataReader
from farm.kit.tree import FolderTree
from farm.spec.problem import Problem

_DEPENDS = ("BDEPEND", "DEPEND", "IDEPEND", "PDEPEND", "RDEPEND")
_ATOM = re.compile(
    r"(?:!!?)?(?:[<>]=?|=|~)?(?P<name>[A-Za-z0-9_][\w+.-]*/[A-Za-z0-9_][\w+-]*?)(?:-[0-9][\w.+*-]*)?(?:[:\[].*)?"
)
_MAIL = re.compile(r"<email>\s*([^<\s]+)\s*</email>")
LAYERS = ("global", "curated")
"""Folders of a kit's fixups that are for all of its branches, the later one's before the earlier one's."""


class OverlayInventory:
    """Overlays as they were fetched. Metadata is asked for only where a rule needs it, and of its categories only.

    ``files``: (name, commit or branch) of an overlay → its files. Ebuilds that portage cannot read are told once.
    """

    def __init__(self, files: Mapping[Overlay, Files], reader: MetadataReader, problems: list[Problem]) -> None:
        self._files = {_key(overlay): kit for overlay, kit in files.items()}
        self._reader = reader
        self._problems = problems
        self._told: set[str] = set()

    def files(self, overlay: Overlay) -> Files:
        """The files of an overlay at its commit."""
        return self._files[_key(overlay)]

    def packages(self, overlay: Overlay) -> Collection[str]:
        """See `farm.kit.foundations.resolve.Inventory`."""
        return self.files(overlay).packages.keys()

    def inheriting(self, overlay: Overlay, eclass: str, categories: Collection[str]) -> Collection[str]:
        """See `farm.kit.foundations.resolve.Inventory`."""
        names = self._in(overlay, categories)
        return {
            name for name, entries in self._read(overlay, names).items() if any(eclass in e.eclasses for e in entries)
        }

    def needed(self, overlay: Overlay, catpkg: str) -> Collection[str]:
        """See `farm.kit.foundations.resolve.Inventory`."""
        entries = self._read(overlay, [catpkg]).get(catpkg, [])
        words = " ".join(entry.keys.get(key, "") for entry in entries for key in _DEPENDS).split()
        atoms = (_ATOM.fullmatch(word) for word in words if not word.startswith("!"))
        return {match["name"] for match in atoms if match}

    def maintained(self, overlay: Overlay, mail: str, categories: Collection[str]) -> Collection[str]:
        """See `farm.kit.foundations.resolve.Inventory`."""
        files = self.files(overlay)
        names = self._in(overlay, categories)
        return {name for name in names if mail in _MAIL.findall(files.read_text(f"{name}/metadata.xml").lower())}

    def _in(self, overlay: Overlay, categories: Collection[str]) -> list[str]:
        return [name for name in self.packages(overlay) if not categories or name.partition("/")[0] in categories]

    def _read(self, overlay: Overlay, names: Collection[str]) -> dict[str, list[Metadata]]:
        files = self.files(overlay)
        done = self._reader.read(files, [cpv for name in names for cpv in files.packages.get(name, ())])
        found: dict[str, list[Metadata]] = {}
        for cpv, entry in done.found.items():
            found.setdefault(cpv.catpkg, []).append(entry)
        for cpv, why in done.failed.items():
            message = f"{overlay.name}: {cpv}: portage cannot read it: {why}"
            if message not in self._told:
                self._told.add(message)
                self._problems.append(Problem("bad-ebuild", message, None, "", "warning", str(cpv)))
        return found


class FixupFolder:
    """``KIT/{global,curated,BRANCH}/…`` below a folder; None: there are no fixups."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._read: dict[Path, Files] = {}

    def packages(self, kit: Kit) -> Collection[str]:
        """See `farm.kit.foundations.resolve.Fixups`."""
        return {name for files in self.layers(kit) for name in files.packages}

    def layers(self, kit: Kit) -> list[Files]:
        """The folders for a branch of a kit that are there; what a later one has comes before an earlier one's."""
        if self._folder is None:
            return []
        folders = [self._folder / kit.name / name for name in (*LAYERS, kit.branch)]
        return [self._files(folder) for folder in folders if folder.is_dir()]

    def _files(self, folder: Path) -> Files:
        if folder not in self._read:
            self._read[folder] = Files(folder.name, FolderTree(folder))
        return self._read[folder]


def _key(overlay: Overlay) -> tuple[str, str]:
    return overlay.name, overlay.commit or overlay.branch
