# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bot wants of a forge."""

from __future__ import annotations

import dataclasses
from typing import Literal, Protocol

State = Literal["open", "closed", "merged"]


@dataclasses.dataclass(frozen=True, slots=True)
class Pull:
    """A pull request (GitLab: merge request). ``head`` and ``base`` are branches, ``commit`` is the head's."""

    number: int
    title: str
    head: str
    base: str
    state: State
    url: str = ""
    commit: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class NewPull:
    """A pull request to be made."""

    title: str
    body: str
    head: str
    base: str


class Forge(Protocol):
    """One repository on a forge.

    Every call raises FarmError: ``forge-refused`` (with what the forge says), ``forge-token`` (no token, or one that
    is not taken), ``forge-unreachable`` (transient; it was tried several times).
    """

    def open_pulls(self, base: str) -> list[Pull]:
        """All open pull requests to a branch."""

    def pulls_of(self, head: str, base: str) -> list[Pull]:
        """All pull requests from ``head`` to ``base``, whatever their state, the newest first."""

    def create(self, pull: NewPull) -> Pull:
        """Makes a pull request, or gives the open one when there is one already."""

    def close(self, number: int, comment: str) -> None:
        """Closes, and then says why: a call repeated after a failure does not say it twice."""
