# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the last builds of each release: Funtoo metro's ``.control`` and ``.failcount``.

``<layout>/.control/<build>/<arch>/<subarch>/<target>.json``, written whole. It belongs to the layout, so farms with
different stores that give out into one folder share it. Times are in seconds since 1970.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from farm.spec.whole import write_whole
from farm.stage.layout import Layout
from farm.stage.model import Release

PATIENCE = 3
"""After so many failures in a row, a release is left alone for a while."""

FIRST_PAUSE = 3600.0
LONGEST_PAUSE = 7 * 86400.0
"""Seconds. The pause doubles with each further failure."""


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """``version``: the last good one. ``built``: when it was built last, also when it was the same as before."""

    version: str = ""
    built: float = 0.0
    failures: int = 0
    failed: float = 0.0
    reason: str = ""

    @property
    def pause_until(self) -> float:
        """Before this time it is not tried again on its own; 0: it can be tried."""
        if self.failures < PATIENCE:
            return 0.0
        return self.failed + min(FIRST_PAUSE * 2.0 ** min(self.failures - PATIENCE, 20), LONGEST_PAUSE)


class Control:
    """The states of a layout's releases."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def state(self, release: Release) -> State:
        """What is known. A file that cannot be read is as none: at worst something is built once more."""
        try:
            data = json.loads(self._file(release).read_bytes())
            times = {name: float(data[name]) for name in ("built", "failed")}
            return State(str(data["version"]), failures=int(data["failures"]), reason=str(data["reason"]), **times)
        except (OSError, ValueError, KeyError, TypeError):
            return State()

    def succeeded(self, release: Release, version: str, now: float) -> None:
        """Notes a good build."""
        self._write(release, State(version, now))

    def failed(self, release: Release, reason: str, now: float) -> State:
        """Notes a failure."""
        before = self.state(release)
        after = dataclasses.replace(before, failures=before.failures + 1, failed=now, reason=reason)
        self._write(release, after)
        return after

    def _write(self, release: Release, state: State) -> None:
        file = self._file(release)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(dataclasses.asdict(state), indent=1).encode() + b"\n")

    def _file(self, release: Release) -> Path:
        return self._layout.root / ".control" / release.folder / f"{release.target}.json"
