# SPDX-License-Identifier: GPL-3.0-or-later
"""In what form a wagon has its tree: what the next revision keeps, unless it is told otherwise."""

from __future__ import annotations

import dataclasses

from farm.wagon.repository import Repository


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """``compression`` of the tree's tarball; whether there is a ``compilertree``, and the ``legacy`` layout."""

    compression: str = "zstd"
    compilertree: bool = False
    legacy: bool = False

    def changed(self, compression: str | None, compilertree: bool | None, legacy: bool | None) -> Form:
        """With what is given in place of what there is; None gives nothing."""
        given = {"compression": compression, "compilertree": compilertree, "legacy": legacy}
        return dataclasses.replace(self, **{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]


def form_of(repository: Repository | None) -> Form:
    """The form of a wagon's revision; without one, that of a new wagon."""
    if repository is None:
        return Form()
    files = repository.repo_files
    compression = files["treev2"].compression if "treev2" in files else "zstd"
    return Form(compression, "compilertree" in files, "meta" in files)
