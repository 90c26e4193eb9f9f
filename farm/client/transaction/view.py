# SPDX-License-Identifier: GPL-3.0-or-later
"""A root as it will be: what is there, less what goes, with the links of what arrives. Nothing leads out of it."""

from __future__ import annotations

import os
from collections.abc import Iterable

from farm.client.transaction.area import Area, join, split
from farm.spec.problem import FarmError, error

_MAX_LINKS = 40


class View:
    """Finds where a path of a package really lies.

    ``going`` are real paths that will be gone; ``links`` those of links that will be there, with what they say.
    """

    def __init__(self, root: Area, known: View | None = None) -> None:
        """``known``: another view of the same root, whose listings are used."""
        self.root = root
        self.going: set[bytes] = set()
        self.links: dict[bytes, bytes] = {}
        self._real: dict[bytes, bytes] = {b"": b""}
        self._listings: dict[bytes, dict[bytes, str]] = known._listings if known else {}

    def listing(self, folder: bytes) -> dict[bytes, str]:
        """What the root has now in a folder (real path); empty when there is no such folder."""
        found = self._listings.get(folder)
        if found is None:
            above, name = split(folder)
            is_there = not folder or self.listing(above).get(name) == "d"
            found = self.root.listing(folder) if is_there else {}
            self._listings[folder] = found
        return found

    def kind(self, path: bytes) -> str:
        """What the root has now at a real path: ``d``, ``l``, ``f``, or nothing."""
        folder, name = split(path)
        return self.listing(folder).get(name, "")

    def real(self, folder: bytes) -> bytes:
        """The real path of a folder. FarmError ``leaves-root``, ``folder-in-the-way``."""
        found = self._real.get(folder)
        if found is None:
            above, name = split(folder)
            found = self._step(self.real(above), name, 0)
            self._real[folder] = found
        return found

    def add_links(self, links: Iterable[tuple[bytes, bytes]]) -> None:
        """Takes note of links that will be there: their paths in packages, and what they say.

        Those that lie below other links are found in a second round, parents first.
        """
        self.links.update(links)
        for path in sorted(self.links, key=lambda one: one.count(b"/")):
            above, name = split(path)
            self._real = {b"": b""}
            try:
                real = join(self.real(above), name)
            except FarmError:
                continue  # told when the package that has it is laid out
            if real != path:
                self.links[real] = self.links.pop(path)
        self._real = {b"": b""}

    def _step(self, folder: bytes, name: bytes, links: int) -> bytes:
        spot = join(folder, name)
        target = self.links.get(spot)
        if target is None:
            kind = "" if spot in self.going else self.kind(spot)
            if kind in ("", "d"):
                return spot
            if kind == "f":
                raise error("folder-in-the-way", f"{self.root.show(spot)} is needed as a folder, but is none")
            target = self.root.readlink(spot)
        if links >= _MAX_LINKS:
            raise error("leaves-root", f"too many symbolic links at {self.root.show(spot)}")
        return self._follow(b"" if target.startswith(b"/") else folder, target, spot, links + 1)

    def _follow(self, at: bytes, target: bytes, link: bytes, links: int) -> bytes:
        for part in target.split(b"/"):
            if part == b"..":
                if not at:
                    message = f"the link {self.root.show(link)} to {os.fsdecode(target)} leaves the root"
                    raise error("leaves-root", message)
                at = split(at)[0]
            elif part not in (b"", b"."):
                at = self._step(at, part, links)
        return at
