# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of stage files: what is there, and which stages a stage needs to be made."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.spec.problem import FarmError, Place, Problem, error
from farm.stage.file import read_stage
from farm.stage.model import Stage, StageSeed


class Library:
    """The stage files of ``folder``, whose templates see ``values``. Each is read once."""

    def __init__(self, folder: Path, values: Mapping[str, Any] | None = None) -> None:
        self.folder = folder.absolute()
        self.values = values or {}
        self._read: dict[Path, Stage] = {}

    def names(self) -> list[str]:
        """The names of all stage files, sorted."""
        found = self.folder.glob("*.yaml") if self.folder.is_dir() else ()
        return sorted(path.name.removesuffix(".yaml") for path in found if path.is_file())

    def stages(self, targets: Sequence[str] = ()) -> list[Stage]:
        """All stages, or those with one of these targets. FarmError with all that is wrong in the first bad file."""
        return [one for one in map(self.stage, self.names()) if not targets or one.release.target in targets]

    def stage(self, name: str) -> Stage:
        """The stage of a name, or of a path of a file. FarmError ``unknown-stage``, and all that is wrong in it."""
        path = self._path(name)
        if path not in self._read:
            self._read[path] = read_stage(path, self.values)
        return self._read[path]

    def chain(self, names: Sequence[str]) -> list[Stage]:
        """These stages and all that they begin with, seeds first. FarmError with all that is wrong in all of them."""
        found: dict[str, Stage] = {}
        problems: list[Problem] = []
        for name in names:
            self._add(name, [], found, problems)
        if problems:
            raise FarmError(list(dict.fromkeys(problems)))
        return list(found.values())

    def _add(self, name: str, path: list[Stage], found: dict[str, Stage], problems: list[Problem]) -> None:
        try:
            stage = self.stage(name)
        except FarmError as failure:
            place = path[-1].seed.place if path else None
            problems += [_at(p, place) for p in failure.problems]
            return
        if stage.name in [one.name for one in path]:
            told = " -> ".join([*(one.name for one in path), stage.name])
            problems.append(Problem("stage-cycle", f"stages begin with each other: {told}", path[-1].seed.place))
            return
        if stage.name in found:
            return
        if isinstance(stage.seed, StageSeed):
            self._add(stage.seed.stage, [*path, stage], found, problems)
        found[stage.name] = stage

    def _path(self, name: str) -> Path:
        if "/" in name or name.endswith(".yaml"):
            path = Path(name).absolute()
            if path.is_file():
                return path
        elif (path := self.folder / f"{name}.yaml").is_file():
            return path
        known = self.names()
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"stages in {self.folder}: {', '.join(known) or 'none'}"
        raise error("unknown-stage", f"there is no stage {name!r}", hint=hint)


def _at(problem: Problem, place: Place | None) -> Problem:
    return problem if problem.place else dataclasses.replace(problem, place=place)
