# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads an autogen specification: mark-devkit's YAML, unchanged. All that is wrong with it is told at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from farm.kit.autogen.merging import merged
from farm.kit.autogen.model import (
    Asset,
    Atom,
    Definition,
    ExtensionOptions,
    ForgeQuery,
    JsonQuery,
    Listing,
    Python,
    Specification,
    Transform,
)
from farm.spec.document import open_source
from farm.spec.finding import nearest
from farm.spec.problem import FarmError, Place, Problem
from farm.spec.regex import compile_go
from farm.spec.schema import explain, schema, valid
from farm.spec.yamltext import CORE, TEXT, Parsed, parse

EMULATED = (0, 32, 0)
"""The version of mark-devkit whose specifications are understood; ``markdevkit_min_version`` is held against it."""

_TEXTS = ("tarball", "template", "files_dir", "override_user_agent", "python_compat", "python_requires_ignore",
          "pypi_name", "category")  # fmt: skip
_FORGE = dict.fromkeys(("user", "repo", "query", "match"), TEXT)
_ATOM: dict[str, Any] = {
    **dict.fromkeys(_TEXTS, TEXT),
    "vars": {"versions": [TEXT], "slot": TEXT, "eapi": TEXT, "*": CORE},
    "extensions": [TEXT],
    "selector": [TEXT],
    "exclude": [TEXT],
    "pydeps_ignore": [TEXT],
    "pydeps": {"*": [TEXT]},
    "github": _FORGE,
    "gitlab": _FORGE,
    "forgejo": _FORGE,
    "dir": dict.fromkeys(("url", "matcher", "exclude"), TEXT),
    "json": {"params": {"*": TEXT}, "map_filter_vars": {"*": TEXT}, "ignore_artefacts": None, "*": TEXT},
    "assets": [dict.fromkeys(("use", "name", "matcher", "prefix", "url"), TEXT)],
    "transform": [dict.fromkeys(("kind", "match", "replace"), TEXT)],
}
_SHAPE: dict[str, Any] = {
    "version": TEXT,
    "*": {
        "generator": TEXT,
        "markdevkit_min_version": TEXT,
        "generator_opts": {"*": TEXT},
        "template": {"engine": TEXT, "opts": [TEXT]},
        "extensions_defs": {"*": {"name": TEXT, "opts": {"*": TEXT}}},
        "defaults": _ATOM,
        "packages": [{"*": _ATOM}],
    },
}

Path_ = tuple[str | int, ...]


def read_specification(file: Path) -> Specification:
    """The specification in ``file``. FarmError with everything that is wrong with it."""
    source, problems = open_source(str(file.absolute()))
    if source is None:
        raise FarmError(problems)
    parsed = parse(source.text, source.path, _SHAPE)
    reader = _Reader(parsed, list(parsed.problems))
    definitions = reader.definitions()
    errors = [problem for problem in reader.problems if problem.severity == "error"]
    if errors:
        raise FarmError(reader.problems)
    return Specification(file.absolute(), definitions, tuple(reader.problems))


class _Reader:
    def __init__(self, parsed: Parsed, problems: list[Problem]) -> None:
        self.parsed = parsed
        self.problems = problems

    def definitions(self) -> tuple[Definition, ...]:
        data = {} if self.parsed.data is None else self.parsed.data
        if any(problem.severity == "error" for problem in self.problems):
            return ()
        if not valid("autogen", data):
            for finding in explain("autogen", data):
                place = self.parsed.place(finding.path, key=finding.at_key)
                self.problems.append(Problem(finding.code, finding.message, place, finding.hint))
            return ()
        named = ((name, value) for name, value in data.items() if name != "version" and value)
        return tuple(self._definition(name, value) for name, value in named)

    def _definition(self, name: str, data: Mapping[str, Any]) -> Definition:
        self._unknown_keys((name,), data, "definition")
        self._unknown_keys((name, "defaults"), data.get("defaults") or {}, "atom")
        self._check_version(name, data.get("markdevkit_min_version"))
        extensions = {
            key: ExtensionOptions((value or {}).get("name") or key, _texts((value or {}).get("opts")))
            for key, value in (data.get("extensions_defs") or {}).items()
        }
        template = data.get("template") or {}
        generator = data.get("generator") or ""
        atoms = tuple(self._atoms(name, data, extensions, generator))
        if not generator and atoms:
            hint = "add generator:, or builtin-noop for versions that are written here"
            self._say("no-generator", f"definition {name!r} has no generator", (name,), hint)
        if generator == "custom" and not _texts(data.get("generator_opts")).get("script"):
            self._say("no-script", f"definition {name!r} has no script", (name,), "add script: to generator_opts")
        return Definition(
            name,
            generator,
            _texts(data.get("generator_opts")),
            template.get("engine") or "helm",
            tuple(template.get("opts") or ()),
            extensions,
            atoms,
        )

    def _atoms(
        self, name: str, data: Mapping[str, Any], extensions: Mapping[str, Any], generator: str
    ) -> Iterator[Atom]:
        defaults = data.get("defaults") or {}
        for index, entry in enumerate(data.get("packages") or ()):
            for package, own in entry.items():
                path: Path_ = (name, "packages", index, package)
                self._unknown_keys(path, own or {}, "atom")
                written = merged(defaults, own or {})
                atom = make_atom(package, written, self.parsed.place(path, key=True), defaults)
                self._check_atom(atom, path, extensions)
                yield atom

    def _check_atom(self, atom: Atom, path: Path_, extensions: Mapping[str, Any]) -> None:
        if not _is_name(atom.name):
            hint = "letters, digits and + _ -; no slash"
            self._say("bad-name", f"{atom.name!r} is no name of a package", path, hint, key=True)
        if not atom.category:
            self._say(
                "no-category", f"{atom.name} has no category", path, "add category: to it or to defaults", key=True
            )
        for key, regex in _regexes(atom):
            try:
                compile_go(regex)
            except FarmError as failure:
                problem = failure.problems[0]
                self._say("bad-regex", f"{atom.name}: {key}: {problem.message}", path, problem.hint, key=True)
        for extension in atom.extensions:
            if extension not in extensions:
                hint = f"add {extension}: to extensions_defs"
                message = f"{atom.name}: extension {extension!r} is not defined"
                self._say("unknown-extension", message, path, hint, key=True)

    def _check_version(self, name: str, text: str | None) -> None:
        numbers = tuple(int(part) for part in (text or "").lstrip("v").split(".") if part.isdigit())
        if numbers > EMULATED:
            message = f"definition {name!r} wants mark-devkit {text}; what is understood here is {_dotted(EMULATED)}'s"
            self._say("newer-specification", message, (name, "markdevkit_min_version"), severity="warning")

    def _unknown_keys(self, path: Path_, data: Mapping[str, Any], kind: str) -> None:
        known = list(schema("autogen")["$defs"][kind]["properties"])
        for key in data.keys() - set(known):
            near = nearest(key, known)
            hint = f"did you mean {near!r}?" if near else "it is ignored"
            self._say("unknown-key", f"unknown key {key!r}", (*path, key), hint, key=True, severity="warning")

    def _say(
        self, code: str, message: str, path: Path_, hint: str = "", *, key: bool = False, severity: Any = "error"
    ) -> None:
        self.problems.append(Problem(code, message, self.parsed.place(path, key=key), hint, severity))


def make_atom(name: str, data: Mapping[str, Any], place: Place, defaults: Mapping[str, Any]) -> Atom:
    """An atom out of its merged mapping. The defaults' selector holds beside the atom's own, as with mark-devkit."""

    def text(key: str) -> str:
        return data.get(key) or ""

    selector = tuple(dict.fromkeys([*(data.get("selector") or ()), *(defaults.get("selector") or ())]))
    return Atom(
        name,
        place,
        text("category"),
        text("tarball"),
        text("template"),
        text("files_dir"),
        text("override_user_agent"),
        data.get("revision") or 0,
        _forge(data.get("github") or {}),
        _forge(data.get("gitlab") or {}),
        _forge(data.get("forgejo") or {}),
        listing=_listing(data.get("dir") or {}),
        json=_json(data.get("json") or {}),
        python=_python(data),
        vars=data.get("vars") or {},
        extensions=tuple(data.get("extensions") or ()),
        assets=tuple(_asset(asset) for asset in data.get("assets") or ()),
        transforms=tuple(
            Transform(entry["kind"], entry["match"], entry.get("replace") or "")
            for entry in data.get("transform") or ()
        ),
        excludes=tuple(data.get("exclude") or ()),
        selector=selector,
        selector_by_slot=bool(data.get("selector4slot")),
        ignore_artefacts=bool(data.get("ignore_artefacts") or (data.get("dir") or {}).get("ignore_artefacts")),
        written=data,
    )


def _forge(data: Mapping[str, Any]) -> ForgeQuery:
    return ForgeQuery(
        data.get("user") or "",
        data.get("repo") or "",
        data.get("query") or "releases",
        data.get("match") or "",
        bool(data.get("ignore_tags")),
        data.get("per_page"),
        data.get("page") or 1,
        data.get("num_pages"),
    )


def _listing(data: Mapping[str, Any]) -> Listing:
    return Listing(
        data.get("url") or "", data.get("matcher") or "", data.get("exclude") or "", bool(data.get("ignore_artefacts"))
    )


def _json(data: Mapping[str, Any]) -> JsonQuery:
    return JsonQuery(
        data.get("url") or "",
        data.get("method") or "GET",
        _texts(data.get("params")),
        data.get("exclude") or "",
        data.get("version_filter") or "",
        data.get("src_uri_filter") or "",
        _texts(data.get("map_filter_vars")),
    )


def _python(data: Mapping[str, Any]) -> Python:
    return Python(
        data.get("python_compat") or "",
        (data.get("python_requires_ignore") or "").lower() not in ("", "false", "no", "0"),
        tuple(data.get("pydeps_ignore") or ()),
        data.get("pypi_name") or "",
        {key: tuple(value or ()) for key, value in (data.get("pydeps") or {}).items()},
    )


def _asset(data: Mapping[str, Any]) -> Asset:
    texts = {key: data.get(key) or "" for key in ("use", "name", "matcher", "prefix", "url")}
    return Asset(**texts, local=bool(data.get("local")))


def _texts(data: Mapping[str, Any] | None) -> dict[str, str]:
    return {key: value or "" for key, value in (data or {}).items()}


def _regexes(atom: Atom) -> Iterator[tuple[str, str]]:
    """Regular expressions that are no templates, with the keys they stand at."""
    forges = {"github": atom.github, "gitlab": atom.gitlab, "forgejo": atom.forgejo}
    yield from ((f"{key}.match", forge.match) for key, forge in forges.items() if forge.match)
    yield from (("exclude", regex) for regex in atom.excludes)
    yield from (("pydeps_ignore", regex) for regex in atom.python.deps_ignore)
    listing, json = atom.listing, atom.json
    written = {"dir.matcher": listing.matcher, "dir.exclude": listing.exclude, "json.exclude": json.exclude}
    yield from ((key, regex) for key, regex in written.items() if regex and "{{" not in regex)
    for transform in atom.transforms:
        if transform.kind == "regex" and "{{" not in transform.match:
            yield "transform.match", transform.match


def _is_name(name: str) -> bool:
    """PMS 3.1.2, but for a name that ends in what looks like a version."""
    return bool(name) and name[0] not in "-+" and all(c.isascii() and (c.isalnum() or c in "+_-") for c in name)


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
