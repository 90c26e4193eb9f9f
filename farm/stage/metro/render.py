# SPDX-License-Identifier: GPL-3.0-or-later
"""From a written job to a `Job`: templates rendered, paths resolved, everything checked before anything runs."""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from farm.spec.problem import FarmError, Place, Problem
from farm.spec.template import render
from farm.spec.template.functions.dates import stopped_clock
from farm.stage.metro.hooks import read_hooks
from farm.stage.metro.model import AniseSource, Bind, Compression, Hook, HttpSource, Job, Output, Source
from farm.stage.metro.specfile import SpecFile, WrittenJob
from farm.stage.metro.tarformers import read_rules

VERSION = "0.32.0"
"""The version of mark-devkit whose metro this is."""

_COMPRESSION: dict[str, Compression] = {
    ".gz": "gzip",
    ".tgz": "gzip",
    ".bz2": "bzip2",
    ".tbz2": "bzip2",
    ".xz": "xz",
    ".txz": "xz",
    ".zst": "zstd",
    ".zstd": "zstd",
}
_VARIABLE = re.compile(r"[^=\0]+")
T = TypeVar("T")


def render_job(
    file: SpecFile, name: str, moment: datetime.datetime, *, folder: Path | None = None
) -> tuple[Job, tuple[Problem, ...]]:
    """The job of that name at ``moment``, and warnings. FarmError with all that is wrong with it.

    ``folder`` is the working directory, which the anise configuration and binds are relative to.
    """
    job, problems = read_job(file, name, moment, (folder or Path.cwd()).absolute())
    return whole(job, problems), problems


def read_job(
    file: SpecFile, name: str, moment: datetime.datetime, folder: Path
) -> tuple[Job | None, tuple[Problem, ...]]:
    """The job as far as it can be read, and all that is wrong or odd. FarmError ``unknown-job``."""
    written = file.job(name)
    with stopped_clock(moment):
        work = _Rendering(file, written, folder)
        job = work.job(moment)
    return job, tuple(dict.fromkeys([*file.warnings, *work.problems]))


def whole(job: Job | None, problems: Sequence[Problem]) -> Job:
    """The job, when nothing is wrong with it. FarmError with all errors else."""
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors or job is None:
        raise FarmError(dict.fromkeys(errors))
    return job


def compression_of(name: str) -> Compression:
    """What the end of a tarball's name says."""
    return _COMPRESSION.get(Path(name).suffix, "none")


class _Rendering:
    """One job being read. What is wrong is gathered in ``problems``; what cannot be read is None."""

    def __init__(self, file: SpecFile, written: WrittenJob, folder: Path) -> None:
        self.file = file
        self.written = written
        self.data = written.data
        self.base = file.path.parent
        self.folder = folder
        self.options: dict[str, Any] = self.data.get("options") or {}
        self.problems: list[Problem] = []
        self.rendered: dict[tuple[str, str], str] = {}

    def job(self, moment: datetime.datetime) -> Job | None:
        source, output = self._source(), self._output()
        workspace = Path(os.path.normpath(self.base / (self.data.get("workspacedir") or "")))
        hooks = self._hooks()
        environment = self._environment()
        if source is None or output is None:
            return None
        return Job(
            self.written.name,
            self.file.path,
            source,
            output,
            workspace,
            self.options,
            environment,
            tuple(binds_of(self.data.get("chroot_binds"), lambda i: self._place("chroot_binds", i, "source"))),
            hooks,
            moment,
            self.data,
            self._place(),
        )

    def _source(self) -> Source | None:
        kind = self._section("source").get("type")
        if kind == "http":
            return self._http()
        if kind == "anise":
            return self._anise()
        self._wrong_type("source", kind, ("http", "anise"))
        return None

    def _http(self) -> HttpSource | None:
        data = self._section("source")
        uri, target = self._text("source", "uri"), self._text("source", "target")
        signature = self._text("source", "signature", needed=False)
        self._text("source", "path", needed=False)
        rules = self._rules("source")
        if uri and urlsplit(uri).scheme not in ("http", "https", "file"):
            self._problem(
                "bad-url", f"{uri} is no URL of a root tarball", "source", "uri", hint="https://… or http://…"
            )
        if bool(signature) != bool(data.get("key")):
            self._problem("half-signature", "signature and key go together", "source")
        if uri is None or target is None:
            return None
        if not (data.get("sha256") or signature):
            hint = "add sha256: to the source, or signature: and key:"
            self._problem("unverified-source", f"nothing says what {uri} has to be", "source", hint=hint, warn=True)
        file = Path(os.path.normpath(self.base / target))
        digest = (data.get("sha256") or "").lower()
        return HttpSource(uri, file, digest, signature or "", data.get("key") or "", rules, self._place("source"))

    def _anise(self) -> AniseSource:
        data = self._section("source")
        config = self.folder / data["anise_config"] if data.get("anise_config") else None
        if config and not config.is_file():
            hint = "the path is relative to the working directory, not to this file"
            self._problem("missing-file", f"there is no file {config}", "source", "anise_config", hint=hint)
        packages = tuple(data.get("anise_packages") or ())
        repositories = tuple(data.get("anise_repos") or ())
        if not packages:
            self._problem("no-packages", "nothing would be installed", "source", hint="add anise_packages:", warn=True)
        return AniseSource(config, repositories, packages, self._place("source"))

    def _output(self) -> Output | None:
        kind = self._section("output").get("type")
        if kind != "file":
            self._wrong_type("output", kind, ("file",))
        name, folder = self._text("output", "name"), self._text("output", "dir", needed=False)
        rules = self._rules("output")
        if name is None:
            return None
        if "/" in name or name in (".", "..") or any(ord(c) < 32 for c in name):
            hint = "put folders into dir:"
            self._problem("bad-output-name", f"{name!r} is no name of a file", "output", "name", hint=hint)
        where = Path(os.path.normpath(self.base / (folder or "").strip()))
        return Output(where, name, compression_of(name), rules, self._place("output"))

    def _hooks(self) -> tuple[Hook, ...]:
        base = self.base / (self.data.get("hooks_basedir") or "")
        hooks: list[Hook] = []
        for index, name in enumerate(self.data.get("hooks_files") or ()):
            path = Path(os.path.normpath(base / name))
            if not path.is_file():
                self._problem("missing-hooks-file", f"there is no file {path}", "hooks_files", index)
                continue
            found, problems = read_hooks(path, self.options, first=len(hooks) + 1)
            hooks += found
            self.problems += problems
        return tuple(hooks)

    def _environment(self) -> tuple[tuple[str, str], ...]:
        """Texts and whole numbers of the options (``-`` in a name becomes ``_``), and then ``environments``."""
        found: dict[str, str] = {}
        for key, value in self.options.items():
            if isinstance(value, str | int) and not isinstance(value, bool):
                found[key.replace("-", "_")] = str(value)
        for index, item in enumerate(self.data.get("environments") or ()):
            found[item["key"]] = item.get("value") or ""
            if not _VARIABLE.fullmatch(item["key"]):
                self._problem("bad-environment", f"{item['key']!r} is no name", "environments", index, "key")
        return tuple(found.items())

    def _rules(self, section: str) -> Any:
        where = (section, "tarformers_specs")
        rules, problems = read_rules(self._section(section).get("tarformers_specs"), lambda *p: self._place(*where, *p))
        self.problems += problems
        return rules

    def _text(self, section: str, key: str, *, needed: bool = True) -> str | None:
        """A template of the job, rendered. None: it is missing, or wrong."""
        written = self._section(section).get(key)
        if not written:
            if needed:
                self._problem("missing-key", f"{key} is missing in {section}", section, hint=f"add {key}:")
            return None
        place = self._place(section, key)
        try:
            text = render(written, self.options, name=str(self.file.path)).text.strip()
        except FarmError as failure:
            self.problems += [_moved(problem, place) for problem in failure.problems]
            return None
        self.rendered[section, key] = text
        if not text and needed:
            self._problem("empty-value", f"{key} of {section} comes to nothing", section, key)
            return None
        return text

    def _section(self, name: str) -> dict[str, Any]:
        return self.data.get(name) or {}

    def _wrong_type(self, section: str, kind: str | None, known: Sequence[str]) -> None:
        what = f"{kind!r} is no type" if kind else "there is no type"
        path = (section, "type") if kind else (section,)
        hint = f"one of: {', '.join(known)}"
        self._problem(f"bad-{section}-type", f"{what} of {section}", *path, hint=hint)

    def _place(self, *path: str | int) -> Place:
        return self.file.place(self.written, *path)

    def _problem(self, code: str, message: str, *path: str | int, hint: str = "", warn: bool = False) -> None:
        severity: Any = "warning" if warn else "error"
        self.problems.append(Problem(code, message, self._place(*path), hint, severity))


def _moved(problem: Problem, to: Place) -> Problem:
    """A problem inside a template of one line, at its place in the file."""
    at = problem.place
    column = to.column + at.column - 1 if at and at.line == 1 else to.column
    return Problem(problem.code, problem.message, Place(to.file, to.line, column), problem.hint, problem.severity)


def binds_of(written: Any, place: Any) -> list[Bind]:
    """Binds as they are written; ``place`` gives where the source of the one of that number is."""
    return [Bind(item["source"], item["target"], place(index)) for index, item in enumerate(written or ())]
