# SPDX-License-Identifier: GPL-3.0-or-later
"""What a wagon has already, for the making of its next revision: of which specs, and as a folder of packages."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path

from farm.spec.model import PackageId
from farm.spec.problem import error
from farm.wagon.inputs import COMPANIONS, PROVENANCE
from farm.wagon.provenance import spec_of
from farm.wagon.reading import Published, read_index
from farm.wagon.revisions import WagonFolder


class Carried:
    """The packages of a wagon's last revision. FarmError ``no-wagon``, and those of `read_index`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        current = WagonFolder(folder).current()
        if current is None:
            hint = "make one with `farm wagon create`, or name a folder that has a repository.yaml"
            raise error("no-wagon", f"no wagon in {folder}", hint=hint)
        self._index = read_index(current, WagonFolder(folder).open_file)

    def specs(self) -> dict[PackageId, str | None]:
        """For each package the digest of the spec that it was built from; None: whoever built it has not told."""
        return {id: self._spec(published) for id, published in self._index.items()}

    def link(self, target: Path, packages: Collection[PackageId]) -> None:
        """Links these packages, and what is beside them, into a folder as `farm.wagon.inputs.collect` reads it."""
        for id in packages:
            published = self._index[id]
            (target / published.path).symlink_to(self._folder / published.path)
            stem = published.path.partition(".package.tar")[0]
            for end in COMPANIONS:
                if (self._folder / f"{stem}{end}").is_file():
                    (target / f"{id.fingerprint}{end}").symlink_to(self._folder / f"{stem}{end}")

    def _spec(self, published: Published) -> str | None:
        for name, digest in published.beside.items():
            if name.endswith(PROVENANCE) and "/" not in name:
                try:
                    content = (self._folder / name).read_bytes()
                except OSError:
                    return None
                return spec_of(content) if hashlib.sha256(content).hexdigest() == digest else None
        return None
