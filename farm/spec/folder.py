# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading one spec's folder: everything that can be known of its packages without looking at others.

The result is a *record*: plain JSON data, so that it can be kept (farm/spec/cache.py) and packages made of it later.
"""

from __future__ import annotations

import dataclasses
import hashlib
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from farm.spec.check import check_build, check_definition, near_misses
from farm.spec.document import Rendered, Source, open_source, render_document
from farm.spec.finding import Finding
from farm.spec.model import PackageId
from farm.spec.package import make_id
from farm.spec.problem import Place, Problem
from farm.spec.scan import Entry, Folder, printable, read_entry, sha256_of
from farm.spec.schema import Kind, explain, valid
from farm.spec.values import template_values
from farm.spec.yamltext import TEXT, VERSION, Parsed, Shape, parse

Record = dict[str, Any]
Data = dict[str, Any]
Steps = tuple[str | int, ...]
Definition = tuple[Any, Parsed, Steps, list[Problem]]
"""A definition's data, the document it is in, where in it, and what its YAML had wrong."""

_REQUIREMENTS: Shape = [{"name": TEXT, "category": TEXT, "version": VERSION}]
_IDENTITY = {"name": TEXT, "category": TEXT, "version": VERSION}
_RELATIONS = dict.fromkeys(("requires", "conflicts", "provides"), _REQUIREMENTS)
_DEFINITION: dict[str, Any] = {
    **_IDENTITY,
    **_RELATIONS,
    **{key: [TEXT] for key in ("use_flags", "uri")},
    **dict.fromkeys(("description", "license"), TEXT),
    "labels": {"*": TEXT},
    "annotations": {"config_protect": TEXT, "subsets": {"rules": {"*": [TEXT]}}},
}
_LISTS = ("prelude", "steps", "env", "includes", "excludes", "retrieve", "platforms")
_BUILD: dict[str, Any] = {
    **_RELATIONS,
    **{key: [TEXT] for key in _LISTS},
    **dict.fromkeys(("image", "package_dir", "seed"), TEXT),
    "copy": [{"package": _IDENTITY, "image": TEXT, "source": TEXT, "destination": TEXT}],
    "sources": [
        {"url": TEXT, "sha256": TEXT, "mirrors": [TEXT], "rename": TEXT, "unpack": {"to": TEXT}, "platforms": [TEXT]}
    ],
    "resources": dict.fromkeys(("memory", "disk", "timeout", "silent-timeout", "time"), TEXT),
}
_FINALIZE: dict[str, Any] = {key: [TEXT] for key in ("shell", "install", "uninstall")}


@dataclasses.dataclass(slots=True)
class Reader:
    """Reads the specs of one tree: ``values`` of the value files, ``shared`` templates as (path, text)."""

    values: Mapping[str, Any]
    shared: Sequence[tuple[str, str]]

    def read(self, folder: Folder) -> Record:
        """The record of a folder. Never raises for what is in it."""
        return _Reading(self, folder).record()


class _Reading:
    def __init__(self, reader: Reader, folder: Folder) -> None:
        self.reader = reader
        self.folder = folder
        self.problems: list[Problem] = []
        self.contents: dict[str, bytes] = {}
        self.ids: list[PackageId] = []
        self.whole: list[Problem] = []

    def record(self) -> Record:
        files = [item for entry in self.folder.entries if (item := self._file(entry))]
        build = self._source("build.yaml")
        finalizer = self._source("finalize.yaml")
        found = (self._package(definition, build, finalizer) for definition in self._definitions())
        packages = [package for package in found if package is not None]
        self._blame(self.whole, self.ids)
        return {"files": files, "packages": packages, "problems": [dataclasses.asdict(p) for p in self.problems]}

    def _blame(self, problems: Iterable[Problem], ids: Sequence[PackageId]) -> None:
        """Problems of something that several packages share stop each of them."""
        for problem in problems:
            self.problems += [dataclasses.replace(problem, package=str(id)) for id in ids] or [problem]

    # --- files --------------------------------------------------------------------------------------------

    def _file(self, entry: Entry) -> list[Any] | None:
        path = f"{self.folder.path}/{entry.path}"
        try:
            entry.path.encode()
            if stat.S_ISLNK(entry.mode):
                return [entry.path, "", stat.S_IMODE(entry.mode), str(Path(path).readlink())]
            if not stat.S_ISREG(entry.mode):
                self._whole("special-file", "is no regular file and is left out", path, "remove it", "warning")
                return None
            return [entry.path, self._digest(path, entry.path), stat.S_IMODE(entry.mode), None]
        except UnicodeEncodeError:
            self._whole("bad-file-name", "its name is not UTF-8", path, "rename it")
        except OSError as e:
            self._whole("unreadable-file", f"cannot be read: {e.strerror or e}", path, "check its permissions")
        return None

    def _digest(self, path: str, name: str) -> str:
        if name.endswith(".yaml"):
            content = self.contents[name] = read_entry(path)
            return hashlib.sha256(content).hexdigest()
        return sha256_of(path)

    def _whole(self, code: str, message: str, path: str, hint: str, severity: Any = "error") -> None:
        self.whole.append(Problem(code, message, Place(printable(path)), hint, severity))

    def _source(self, name: str) -> Source | None:
        """One of the spec's YAML files, which may be a link to a regular file; None when there is none."""
        if not any(entry.path == name for entry in self.folder.entries):
            return None
        path = f"{self.folder.path}/{name}"
        source, problems = open_source(path, self.contents.get(name))
        self.whole += problems
        return source

    # --- definitions --------------------------------------------------------------------------------------

    def _definitions(self) -> Iterator[Definition]:
        source = self._source("definition.yaml")
        if source:
            parsed = self._parse(source, _DEFINITION)
            if parsed:
                yield parsed.data, parsed, (), parsed.problems
        source = self._source("collection.yaml")
        if source:
            parsed = self._parse(source, {"packages": [_DEFINITION]})
            if parsed:
                yield from self._collection(parsed)

    def _parse(self, source: Source, shape: Shape) -> Parsed | None:
        """None when there is no data at all, for the reasons reported."""
        parsed = parse(source.text, source.path, shape)
        if parsed.data is None and parsed.problems:
            self.problems += parsed.problems
            return None
        return parsed

    def _collection(self, parsed: Parsed) -> Iterator[Definition]:
        entries = parsed.data.get("packages") if isinstance(parsed.data, dict) else None
        shell = {**parsed.data, "packages": []} if isinstance(entries, list) else parsed.data
        findings = [] if valid("collection", shell) else explain("collection", shell)
        self.problems += [_soft(_problem(f, parsed, ())) for f in findings]
        others = list(parsed.problems)
        for i, entry in enumerate(entries if isinstance(entries, list) else ()):
            first, last = parsed.lines(("packages", i))
            own = [p for p in others if p.place and first <= p.place.line <= last]
            others = [p for p in others if p not in own]
            yield entry, parsed, ("packages", i), own
        self.problems += others

    def _package(self, found: Definition, build: Source | None, finalizer: Source | None) -> Record | None:
        data, parsed, base, own = found
        findings = [] if valid("definition", data) else explain("definition", data)
        problems = [*own, *(_problem(f, parsed, base) for f in findings), *_unquoted(parsed, base)]
        if isinstance(data, dict) and not _fatal(problems):
            problems += [_problem(f, parsed, base) for f in check_definition(data)]
        if not _identified(data):
            self.problems += problems
            return None
        id = make_id(data)
        self.ids.append(id)
        broken = _fatal(problems)
        place = parsed.place(base)
        package: Record = {"entry": int(base[1]) if base else -1, "place": [place.file, place.line, place.column]}
        package["definition"] = _bare(data) if broken else data
        if not broken:
            problems += self._near_misses(found, build, finalizer)
            problems += self._build(package, data, build)
            problems += self._finalizer(package, data, finalizer)
        self._blame(problems, [id])
        return package

    def _near_misses(self, found: Definition, *templates: Source | None) -> list[Problem]:
        data, parsed, base, _ = found
        texts = [text for _, text in self.reader.shared] + [source.text for source in templates if source]
        return [_soft(_problem(f, parsed, base)) for f in near_misses(data, "".join(texts))]

    # --- templates ----------------------------------------------------------------------------------------

    def _build(self, package: Record, data: Data, source: Source | None) -> list[Problem]:
        """Puts the rendered build into the record, when it is good."""
        if source is None:
            return []
        values = template_values(data, self.reader.values)
        rendered = render_document(source, values, self.reader.shared, _BUILD)
        problems = rendered.problems + _structure("build", rendered)
        if not _fatal(problems):
            inherited = bool(data.get("requires"))
            problems += [_problem(f, rendered.parsed, ()) for f in check_build(rendered.data, inherited)]
        if not _fatal(problems):
            package["build"] = rendered.data
        return problems + _unquoted(rendered.parsed, ())

    def _finalizer(self, package: Record, data: Data, source: Source | None) -> list[Problem]:
        """Puts the rendered finalizer into the record, when it is good. Clients render it without value files."""
        if source is None:
            return []
        rendered = render_document(source, template_values(data, {}), (), _FINALIZE)
        problems = rendered.problems + _structure("finalize", rendered)
        if not _fatal(problems):
            package["finalizer"] = rendered.data
        return problems


def _structure(kind: Kind, rendered: Rendered) -> list[Problem]:
    if valid(kind, rendered.data):
        return []
    return [_problem(f, rendered.parsed, ()) for f in explain(kind, rendered.data)]


def _problem(finding: Finding, parsed: Parsed, base: Steps) -> Problem:
    place = parsed.place((*base, *finding.path), key=finding.at_key)
    problem = Problem(finding.code, finding.message, place, finding.hint)
    in_requirement = "package" in finding.path[:-1] or finding.path[:1] in (
        ("requires",),
        ("conflicts",),
        ("provides",),
    )
    return _soft(problem) if in_requirement and "did you mean" not in finding.hint else problem


def _soft(problem: Problem) -> Problem:
    return dataclasses.replace(problem, severity="warning") if problem.code == "unknown-key" else problem


def _fatal(problems: Iterable[Problem]) -> bool:
    return any(p.severity == "error" for p in problems)


def _identified(data: Any) -> bool:
    """Whether the identity is good, whatever else may be wrong."""
    if not isinstance(data, dict) or not data.keys() >= _IDENTITY.keys():
        return False
    return valid("definition", _bare(data)) and not any(check_definition(_bare(data)))


def _bare(data: Data) -> Data:
    return {key: data[key] for key in _IDENTITY}


def _unquoted(parsed: Parsed, base: Steps) -> list[Problem]:
    """Warnings for what is below ``base`` of the document."""
    if not parsed.unquoted:
        return []
    first, last = parsed.lines(base)
    message = "is not in quotes: YAML takes it for something else than text"
    return [
        Problem(
            "unquoted-version", f"version {text} {message}", parsed.where(line, column), f'write "{text}"', "warning"
        )
        for text, line, column in parsed.unquoted
        if first <= line <= last
    ]
