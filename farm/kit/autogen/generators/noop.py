# SPDX-License-Identifier: GPL-3.0-or-later
"""builtin-noop: nothing is asked; the versions are those of ``vars.versions``."""

from __future__ import annotations

from farm.kit.autogen.generators.assets import addressed_assets
from farm.kit.autogen.generators.protocol import Choice, Found, Surroundings
from farm.kit.autogen.model import Atom
from farm.kit.autogen.values import Artefact, Values


class Noop:
    """Packages whose versions are written in the specification."""

    def __init__(self, _surroundings: Surroundings) -> None:
        """Needs nothing."""

    def process(self, atom: Atom) -> Found:
        """Nothing."""
        return Found({})

    def artefacts(self, atom: Atom, found: Found, choice: Choice) -> tuple[Values, list[Artefact]]:
        """The assets, each with its ``url`` or ``prefix``."""
        return {}, addressed_assets(atom, choice.values)
