# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads kit and release specifications: mark-devkit's YAML, unchanged. All that is wrong is told at once, with places.

A key that has no meaning is a warning and not an error: files in use have some.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from farm.kit.atom import VERSION, Wanted, parse_wanted
from farm.kit.condition import check_condition
from farm.kit.model import Fixup, KitSpec, Mirror, MirrorMode, ReleaseSpec, Rule, Source, Target
from farm.spec.document import open_source
from farm.spec.problem import FarmError, Place, Problem
from farm.spec.regex import compile_go
from farm.spec.schema import Kind, explain, valid
from farm.spec.yamltext import TEXT, Parsed, parse

_ATOM: dict[str, Any] = {"pkg": TEXT, "versions": [TEXT], "conditions": [TEXT]}
_SOURCES: Any = [dict.fromkeys(("name", "url", "branch", "commit_sha1"), TEXT)]
_TARGET: dict[str, Any] = {
    **dict.fromkeys(("name", "url", "branch"), TEXT),
    "atoms": [_ATOM],
    "atoms_defaults": _ATOM,
    "metadata": {"layout_masters": TEXT},
    "thirdpartymirrors": [{"alias": TEXT, "layout": {"modes": [{"*": TEXT}]}}],
    "fixups": {"include": [dict.fromkeys(("file", "dir", "to", "name"), TEXT)]},
}
_SHAPES: dict[str, dict[str, Any]] = {
    "kit-merge": {"sources": _SOURCES, "target": _TARGET, "fallback_mirrors": _TARGET["thirdpartymirrors"]},
    "kit-release": {
        "release": {
            "sources": _SOURCES,
            "main_kit": TEXT,
            "target": dict.fromkeys(("name", "url", "branch"), TEXT),
        }
    },
}
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+_.-]*", re.ASCII)
_BRANCH = re.compile(r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)))[A-Za-z0-9_][A-Za-z0-9+_./-]*(?<![./])", re.ASCII)

Where = tuple[str | int, ...]


@dataclasses.dataclass
class Reading:
    """A document under way: its data, and what is wrong so far."""

    parsed: Parsed
    data: dict[str, Any]
    problems: list[Problem]

    def say(self, code: str, message: str, where: Where, hint: str = "", *, warning: bool = False) -> None:
        """Notes a problem at the place of a path."""
        severity: Any = "warning" if warning else "error"
        self.problems.append(Problem(code, message, self.place(where), hint, severity))

    def place(self, where: Where) -> Place:
        """Where a path is in the file."""
        return self.parsed.place(where)

    def stop_on_errors(self) -> None:
        """Raises FarmError with all problems when there is an error."""
        if any(problem.severity == "error" for problem in self.problems):
            raise FarmError(self.problems)


def read_kit_spec(file: Path) -> KitSpec:
    """The kit specification in ``file``. FarmError with everything that is wrong with it."""
    reading = open_spec(file, "kit-merge")
    folder = file.absolute().parent
    sources = tuple(_sources(reading, ("sources",), reading.data.get("sources") or []))
    written = reading.data.get("target")
    target = _target(reading, _with_url(reading, written), folder) if written else None
    if target is not None:
        _check_sources(reading, target, sources)
    mirrors = tuple(map(_mirror, reading.data.get("fallback_mirrors") or ()))
    reading.stop_on_errors()
    return KitSpec(file.absolute(), sources, target, mirrors, tuple(reading.problems), str(file))


def read_release_spec(file: Path) -> ReleaseSpec:
    """The release specification in ``file``. FarmError with everything that is wrong with it."""
    reading = open_spec(file, "kit-release")
    release = reading.data["release"]
    sources = tuple(_sources(reading, ("release", "sources"), release["sources"], strict=True))
    target = release["target"]
    _check_name(reading, ("release", "target"), target, strict=True)
    if release["main_kit"] not in {source.name for source in sources}:
        hint = "name one of the sources"
        reading.say("unknown-kit", f"main_kit {release['main_kit']!r} is no source", ("release", "main_kit"), hint)
    reading.stop_on_errors()
    return ReleaseSpec(
        file.absolute(),
        sources,
        release["main_kit"],
        target["name"],
        target["url"],
        target["branch"],
        tuple(reading.problems),
    )


def _with_url(reading: Reading, written: dict[str, Any]) -> dict[str, Any]:
    """A target without a URL is the source of its name, as mark-devkit has it."""
    if written.get("url"):
        return written
    same = (source["url"] for source in reading.data.get("sources") or [] if source["name"] == written["name"])
    url = next(same, "")
    if not url:
        reading.say("no-url", f"target {written['name']!r} has no url", ("target", "name"), "add url:")
        reading.stop_on_errors()
    return {**written, "url": url}


def open_spec(file: Path, kind: Kind) -> Reading:
    """Reads and checks a file against the schema of its kind. FarmError with every problem of its structure."""
    source, problems = open_source(str(file.absolute()))
    if source is None:
        raise FarmError(problems)
    parsed = parse(source.text, source.path, _SHAPES.get(kind))
    data = {} if parsed.data is None else parsed.data
    reading = Reading(parsed, data, list(parsed.problems))
    reading.stop_on_errors()
    for finding in () if valid(kind, data) else explain(kind, data):
        place = parsed.place(finding.path, key=finding.at_key)
        severity: Any = "warning" if finding.code == "unknown-key" else "error"
        reading.problems.append(Problem(finding.code, finding.message, place, finding.hint, severity))
    reading.stop_on_errors()
    return reading


def repository_name(url: str) -> str:
    """The name of a repository by its URL: the last part, without ``.git``."""
    return url.rstrip("/").rsplit("/", 1)[-1].rsplit(":", 1)[-1].removesuffix(".git")


def _sources(reading: Reading, where: Where, written: list[Any], *, strict: bool = False) -> Iterator[Source]:
    seen: set[str] = set()
    for index, source in enumerate(written):
        at = (*where, index)
        _check_name(reading, at, source, strict=strict)
        if source["name"] in seen:
            reading.say("duplicate-kit", f"kit {source['name']!r} is there twice", (*at, "name"), "remove one of them")
        seen.add(source["name"])
        yield Source(
            source["name"],
            source["url"],
            source.get("branch") or "master",
            source.get("commit_sha1") or "",
            source.get("depth"),
            source.get("priority"),
            reading.place((*at, "name")),
        )


def _check_name(reading: Reading, where: Where, written: Mapping[str, Any], *, strict: bool) -> None:
    """The kit's name has to be its repository's: clients make folders and sections of it."""
    from farm.kit.git import check_url

    name, url = written["name"], written["url"]
    if not _NAME.fullmatch(name):
        reading.say("bad-kit-name", f"{name!r} is no name of a kit", (*where, "name"), "letters, digits and + _ . -")
    if not _BRANCH.fullmatch(written.get("branch") or "master"):
        reading.say("bad-branch", f"{written['branch']!r} is no name of a branch", (*where, "branch"))
    try:
        check_url(url)
    except FarmError as failure:
        reading.say(failure.code, failure.problems[0].message, (*where, "url"), failure.problems[0].hint)
    if name != repository_name(url):
        message = f"kit {name!r} has the URL of {repository_name(url)!r}"
        hint = f"write name: {repository_name(url)}, or mend the url"
        reading.say("kit-name-mismatch", message, (*where, "name"), hint, warning=not strict)


def _check_sources(reading: Reading, target: Target, sources: tuple[Source, ...]) -> None:
    names = {source.name for source in sources}
    for kit, regexes in target.eclasses.items():
        where: Where = ("target", "eclasses", "include", kit)
        if kit not in names:
            reading.say(
                "unknown-kit", f"eclasses are wanted of {kit!r}, which is no source", where, "add it to sources"
            )
        for index, regex in enumerate(regexes):
            _check_regex(reading, regex, (*where, index))


def _check_regex(reading: Reading, regex: str, where: Where) -> None:
    try:
        compile_go(regex)
    except FarmError as failure:
        reading.say(failure.code, failure.problems[0].message, where, failure.problems[0].hint)


def _target(reading: Reading, written: Mapping[str, Any], folder: Path) -> Target:
    _check_name(reading, ("target",), written, strict=False)
    metadata = written.get("metadata") or {}
    defaults = written.get("atoms_defaults") or {}
    includes = (written.get("fixups") or {}).get("include") or ()
    fixups = [_fixup(reading, index, fixup, folder) for index, fixup in enumerate(includes)]
    return Target(
        written["name"],
        written["url"],
        written["branch"],
        {kit: tuple(regexes or ()) for kit, regexes in ((written.get("eclasses") or {}).get("include") or {}).items()},
        metadata.get("layout_masters") or "",
        tuple(metadata.get("aliases") or ()),
        tuple(metadata.get("manifest_hashes") or ()),
        tuple(metadata.get("manifest_required_hashes") or ()),
        bool(metadata),
        tuple(map(_mirror, written.get("thirdpartymirrors") or ())),
        tuple(fixup for fixup in fixups if fixup),
        defaults.get("max_versions"),
        tuple(_rules(reading, written.get("atoms") or (), defaults)),
    )


def _mirror(written: Mapping[str, Any]) -> Mirror:
    modes = (written.get("layout") or {}).get("modes") or ()
    made = (MirrorMode(mode["type"], mode.get("hash") or "", mode.get("hash_mode") or "") for mode in modes)
    return Mirror(written["alias"], tuple(written.get("uri") or ()), tuple(made))


def _fixup(reading: Reading, index: int, written: Mapping[str, Any], folder: Path) -> Fixup | None:
    """``to`` must stay inside the kit; the origin may be anywhere, as upstream's ../../LICENSE is."""
    where: Where = ("target", "fixups", "include", index)
    origin = written.get("dir") or written.get("file")
    if not origin or (written.get("dir") and written.get("file")):
        reading.say("bad-fixup", "a fixup has either a file or a dir", where, "write file: PATH, or dir: PATH")
        return None
    to = written.get("to") or origin
    parts = to.strip("/").split("/")
    if to.startswith("/") or any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        hint = "write a path below the kit's folder, without .. and .git"
        reading.say("unsafe-path", f"a fixup must not write to {to!r}", (*where, "to"), hint)
        return None
    for number, regex in enumerate(written.get("keep_files") or ()):
        _check_regex(reading, regex, (*where, "keep_files", number))
    path = folder / origin
    is_folder = bool(written.get("dir"))
    name = written.get("name") or to
    return Fixup(path, is_folder, to.strip("/"), name, tuple(written.get("keep_files") or ()), reading.place(where))


def _rules(reading: Reading, written: Any, defaults: Mapping[str, Any]) -> Iterator[Rule]:
    seen: set[tuple[Wanted, tuple[str, ...]]] = set()
    _check_rule(reading, ("target", "atoms_defaults"), defaults, None)
    for index, atom in enumerate(written):
        where: Where = ("target", "atoms", index)
        try:
            wanted = parse_wanted(atom["pkg"])
        except FarmError as failure:
            reading.say(failure.code, failure.problems[0].message, (*where, "pkg"), failure.problems[0].hint)
            continue
        same = (wanted, tuple(atom.get("conditions") or ()))
        if same in seen:
            message = f"{wanted} is there twice with the same conditions; the first one holds"
            reading.say("duplicate-atom", message, (*where, "pkg"), "remove one of them", warning=True)
            continue
        seen.add(same)
        _check_rule(reading, where, atom, wanted)
        whole = {**defaults, **{key: value for key, value in atom.items() if value is not None}}
        yield Rule(
            wanted,
            whole.get("max_versions"),
            tuple(whole.get("conditions") or ()),
            bool(whole.get("cond_ignore_slot")),
            tuple(atom.get("versions") or ()),
            reading.place((*where, "pkg")),
        )


def _check_rule(reading: Reading, where: Where, written: Mapping[str, Any], wanted: Wanted | None) -> None:
    for index, version in enumerate(written.get("versions") or ()):
        if not VERSION.fullmatch(version):
            hint = "as in the ebuild's file name, for example 1.2.3_p1-r2"
            reading.say("bad-version", f"{version!r} is no version of an ebuild", (*where, "versions", index), hint)
    for index, condition in enumerate(written.get("conditions") or ()):
        try:
            check_condition(condition, wanted.catpkg if wanted else "")
        except FarmError as failure:
            problem = failure.problems[0]
            reading.say(problem.code, problem.message, (*where, "conditions", index), problem.hint)
