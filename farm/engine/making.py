# SPDX-License-Identifier: GPL-3.0-or-later
"""Who makes nodes that are a product's own `Work`. The engine knows them only by name."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from farm.plan.job import Work
from farm.plan.node import Result
from farm.spec.problem import error

if TYPE_CHECKING:
    from farm.store.store import Store


class Making(Protocol):
    """A product's way to make one kind of `Work`. Both functions may be called from several threads at once."""

    def identify(self, work: Work) -> Work:
        """``work`` with all that is meant by a name made definite, so that its key is that of what will be made."""

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """Makes what `identify` gave. FarmError when it cannot be made; ``transient`` when a retry may help."""


class Once:
    """A maker that makes each work definite only once: what it saw of the world then holds as long as this lives."""

    def __init__(self, maker: Making) -> None:
        self._maker = maker
        self._known: dict[tuple[object, ...], Work] = {}
        self._mutex = threading.Lock()

    def identify(self, work: Work) -> Work:
        """As the maker says, or said."""
        asked = (work, work.local)
        with self._mutex:
            if asked not in self._known:
                self._known[asked] = self._maker.identify(work)
            return self._known[asked]

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """As the maker does."""
        return self._maker.make(work, store, log, cancel)


Makers = Mapping[str, Making]
"""By the name that `Work.maker` has."""


def maker_of(work: Work, makers: Makers) -> Making:
    """Who makes it. FarmError ``no-maker``."""
    if work.maker not in makers:
        raise error(
            "no-maker", f"nobody here makes {work.maker!r}", hint="this is a fault of the farm; please report it"
        )
    return makers[work.maker]
