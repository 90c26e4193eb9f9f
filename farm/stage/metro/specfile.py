# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a metro file: its structure, with the place of everything. Nothing is rendered yet."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from farm.spec.document import Rendered, open_source
from farm.spec.finding import nearest
from farm.spec.problem import FarmError, Place, Problem, error
from farm.spec.schema import Kind, explain, schema, valid
from farm.spec.structure import resolve
from farm.spec.yamltext import CORE, TEXT, Parsed, parse

_RENAMES = [{"source": TEXT, "dest": TEXT}]
_TAR: dict[str, Any] = {
    **{name: [TEXT] for name in ("match_prefix", "ignore_files", "ignore_regexes")},
    **{name: [TEXT] for name in ("triggered_files", "triggered_matches_prefix")},
    **{name: {"*": TEXT} for name in ("remap_uids", "remap_gids", "remap_users", "remap_groups")},
    **dict.fromkeys(("rename", "rename_paths"), _RENAMES),
    "writer": {"dirs": [TEXT], "files": [TEXT]},
}
BINDS = [{"source": TEXT, "target": TEXT}]
_JOB: dict[str, Any] = {
    **dict.fromkeys(("name", "workspacedir", "hooks_basedir"), TEXT),
    "source": {
        **dict.fromkeys(("type", "uri", "path", "target", "sha256", "signature", "key", "anise_config"), TEXT),
        "anise_repos": [TEXT],
        "anise_packages": [TEXT],
        "tarformers_specs": _TAR,
    },
    "output": {**dict.fromkeys(("type", "name", "dir"), TEXT), "tarformers_specs": _TAR},
    "environments": [{"key": TEXT, "value": TEXT}],
    "chroot_binds": BINDS,
    "hooks_files": [TEXT],
    "options": {"*": CORE},
}
_SHAPE: dict[str, Any] = {"version": TEXT, "jobs": [_JOB]}


@dataclasses.dataclass(frozen=True, slots=True)
class WrittenJob:
    """A job as it was written. ``index`` is its place in the list."""

    name: str
    index: int
    data: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class SpecFile:
    """A metro file of sound structure. ``path`` is absolute. ``warnings`` do not stop anything."""

    path: Path
    parsed: Parsed
    jobs: tuple[WrittenJob, ...]
    warnings: tuple[Problem, ...]

    def place(self, job: WrittenJob, *path: str | int, key: bool = False) -> Place:
        """Where something of a job is written: also what came from another place by an alias or ``<<``."""
        return self.parsed.place(("jobs", job.index, *path), key=key)

    def job(self, name: str) -> WrittenJob:
        """The first job of that name. FarmError ``unknown-job`` with what may have been meant."""
        for job in self.jobs:
            if job.name == name:
                return job
        names = [job.name for job in self.jobs]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(names) or 'none'}"
        raise error("unknown-job", f"there is no job {name!r}", place=Place(str(self.path)), hint=hint)


def read_specfile(path: Path) -> SpecFile:
    """Reads and checks a metro file. FarmError with all that is wrong in its structure, whichever job it is in."""
    path = path.absolute()
    source, problems = open_source(str(path))
    if source is None:
        raise FarmError(problems)
    parsed = parse(source.text, source.path, _SHAPE)
    problems = [*parsed.problems, *structure(parsed, "metro")]
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise FarmError(errors)
    jobs = tuple(WrittenJob(data["name"], index, data) for index, data in enumerate(parsed.data["jobs"]))
    warnings = [*problems, *_unknown_keys(parsed, jobs), *_twice(parsed, jobs)]
    return SpecFile(path, parsed, jobs, tuple(dict.fromkeys(warnings)))


def structure(found: Parsed | Rendered, kind: Kind) -> list[Problem]:
    """What is wrong with the structure of a document."""
    parsed = found.parsed if isinstance(found, Rendered) else found
    if parsed.root is None and parsed.problems:
        return []
    data = found.data
    if valid(kind, data):
        return []
    return [Problem(f.code, f.message, parsed.place(f.path, key=f.at_key), f.hint) for f in explain(kind, data)]


def unknown_keys(parsed: Parsed, kind: Kind, part: str, path: Sequence[str | int], data: Any) -> Iterator[Problem]:
    """Warnings of keys that a part of a schema does not know, in a mapping."""
    document = schema(kind)
    rules = resolve(document, part) if part.startswith("#") else _part(document, part)
    for key in data if isinstance(data, dict) else ():
        if key not in rules["properties"]:
            near = nearest(key, list(rules["properties"]))
            hint = f"did you mean {near!r}?" if near else "it is ignored"
            message = f"unknown key {key}"
            yield Problem("unknown-key", message, parsed.place((*path, key), key=True), hint, "warning")


def _part(document: dict[str, Any], path: str) -> Any:
    found: Any = document
    for step in path.split("/"):
        found = found[step]
        if isinstance(found, dict) and "$ref" in found:
            found = resolve(document, found["$ref"])
    return found


def _unknown_keys(parsed: Parsed, jobs: Sequence[WrittenJob]) -> Iterator[Problem]:
    for job in jobs:
        at: tuple[str | int, ...] = ("jobs", job.index)
        yield from unknown_keys(parsed, "metro", "#/$defs/job", at, job.data)
        for name in ("source", "output"):
            data = job.data.get(name) or {}
            yield from unknown_keys(parsed, "metro", f"$defs/job/properties/{name}", (*at, name), data)
            where = (*at, name, "tarformers_specs")
            yield from unknown_keys(parsed, "metro", "#/$defs/tarformers", where, data.get("tarformers_specs"))


def _twice(parsed: Parsed, jobs: Sequence[WrittenJob]) -> Iterator[Problem]:
    seen: set[str] = set()
    for job in jobs:
        if job.name in seen:
            message = f"a second job {job.name}: --job means the first"
            yield Problem("duplicate-job", message, parsed.place(("jobs", job.index, "name")), severity="warning")
        seen.add(job.name)
