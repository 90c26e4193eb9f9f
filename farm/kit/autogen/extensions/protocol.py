# SPDX-License-Identifier: GPL-3.0-or-later
"""What every extension is, and what it works with."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from farm.kit.autogen.access import Endpoints, Tokens
from farm.kit.autogen.model import Atom
from farm.kit.autogen.values import Artefact, Values
from farm.kit.distfiles.fetching import Distfiles, Got, Wanted
from farm.spec.problem import error
from farm.store.download import Say

if TYPE_CHECKING:
    from farm.kit.autogen.scripts import Scripts

MIRROR = "mirror://macaroni"
"""Where bundles will be unless the option ``mirror`` says otherwise."""


@dataclasses.dataclass(frozen=True, slots=True)
class Bench:
    """What an extension of one definition works with. ``options`` are its ``opts``."""

    distfiles: Distfiles
    endpoints: Endpoints
    tokens: Tokens
    options: Mapping[str, str]
    specfile: Path
    cancel: threading.Event
    say: Say
    scripts: Scripts | None = None
    concurrency: int = 3

    @property
    def mirror(self) -> str:
        """The address below which what is made here will be found."""
        return (self.options.get("mirror") or MIRROR).rstrip("/")


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """What an extension gives: more values, all artefacts, and the files that it made, by name."""

    values: Values
    artefacts: tuple[Artefact, ...]
    files: Mapping[str, Got] = dataclasses.field(default_factory=dict)


class Extension(Protocol):
    """Adds to a package's artefacts, between the choice of its version and its template."""

    def apply(self, atom: Atom, values: Mapping[str, Any], artefacts: Sequence[Artefact]) -> Made:
        """FarmError says what went wrong."""


def main_artefact(bench: Bench, atom: Atom, artefacts: Sequence[Artefact]) -> Got:
    """The package's first artefact, brought here. FarmError ``no-artefact``, ``distfile-…``."""
    if not artefacts:
        raise error("no-artefact", f"{atom.name} has no artefact to make a bundle of", place=atom.place)
    first = artefacts[0]
    hashes = {kind.upper(): value for kind, value in first.hashes.items() if kind.upper() in ("SHA256", "SHA512")}
    return bench.distfiles.get(Wanted(first.name, first.urls, hashes, user_agent=atom.user_agent))
