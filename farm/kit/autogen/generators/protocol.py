# SPDX-License-Identifier: GPL-3.0-or-later
"""What every generator is, and what it works with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from farm.kit.autogen.access import Endpoints
from farm.kit.autogen.model import Atom
from farm.kit.autogen.values import Artefact, Values
from farm.kit.autogen.web import Web

if TYPE_CHECKING:
    from farm.kit.autogen.scripts import Scripts


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What a generator of one definition works with. ``options`` are its ``generator_opts``."""

    web: Web
    endpoints: Endpoints
    options: Mapping[str, str]
    specfile: Path
    scripts: Scripts | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """What there is of a package: values for templates, versions as upstream writes them, and the generator's own."""

    values: Values
    versions: Sequence[str] = ()
    details: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """The version that was chosen: ``version`` as the ebuild has it, ``original`` as upstream writes it."""

    version: str
    original: str
    values: Mapping[str, Any]


class Generator(Protocol):
    """One kind of place that releases come from. Used by several threads at once."""

    def process(self, atom: Atom) -> Found:
        """Looks what there is. FarmError says what is wrong with the atom or the place."""

    def artefacts(self, atom: Atom, found: Found, choice: Choice) -> tuple[Values, list[Artefact]]:
        """More values, and the distfiles, of the version that was chosen."""
