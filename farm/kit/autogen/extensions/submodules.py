# SPDX-License-Identifier: GPL-3.0-or-later
"""git-submodules: a bundle of a repository's submodules, which forges leave out of their tarballs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from farm.kit.autogen.engines import render_text
from farm.kit.autogen.extensions.bundle import make_bundle
from farm.kit.autogen.extensions.checkout import checked_out
from farm.kit.autogen.extensions.protocol import Bench, Made
from farm.kit.autogen.model import Atom
from farm.kit.autogen.values import Artefact
from farm.spec.problem import error

KIND = "mark-gitsubmodules-bundle"


class Submodules:
    """Options: ``mirror``, ``bundle_identifier``, ``bundle_extension``. Needs git_repo, sha and pkg_basedir."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def apply(self, atom: Atom, values: Mapping[str, Any], artefacts: Sequence[Artefact]) -> Made:
        """The submodules as the commit has them, below ``pkg_basedir``. FarmError ``no-submodules``, ``git-…``."""
        missing = [name for name in ("git_repo", "sha", "pkg_basedir") if not values.get(name)]
        if missing:
            hint = "use a generator of a forge, or set them in vars:"
            message = f"{atom.name}: git-submodules needs {', '.join(missing)}"
            raise error("missing-key", message, place=atom.place, hint=hint)
        base = render_text(str(values["pkg_basedir"]), values, "pkg_basedir")
        with checked_out(self.bench, str(values["git_repo"]), str(values["sha"])) as checkout:
            if not checkout.submodules:
                raise error("no-submodules", f"{atom.name} has no submodules", place=atom.place)
            members = [member for path in checkout.submodules for member in checkout.members(base, path)]
            bundle, got = make_bundle(self.bench, atom, values, KIND, members)
        return Made({}, (*artefacts, bundle), {bundle.name: got})
