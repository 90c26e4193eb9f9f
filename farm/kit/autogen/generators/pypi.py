# SPDX-License-Identifier: GPL-3.0-or-later
"""builtin-pypi: the Python Package Index's JSON API (https://docs.pypi.org/api/json/)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from farm.kit.autogen.generators.assets import Offered, chosen_assets, tarball_name
from farm.kit.autogen.generators.protocol import Choice, Found, Surroundings
from farm.kit.autogen.model import Atom
from farm.kit.autogen.pydeps import admits, joined, required_atoms, written_dependencies
from farm.kit.autogen.values import Artefact, Values, go_names, plain_text
from farm.spec.problem import FarmError, error

_DEFAULT_COMPAT = "python3+"
_LONG_LICENCE = 100
_HOMEPAGES = ("Homepage", "homepage", "Home", "Home Page", "Source", "Repository", "source", "repository")

_Files = list[dict[str, Any]]


class PyPI:
    """Source distributions. Releases that are yanked, or that ``python_compat`` cannot use, are not there."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.around = surroundings

    def process(self, atom: Atom) -> Found:
        """The project's releases. FarmError of the request."""
        name = atom.python.name or atom.name
        url = f"{self.around.endpoints.pypi}/pypi/{quote(name, safe='')}/json"
        data = self.around.web.get(url, accept="application/json", user_agent=atom.user_agent).json()
        if not isinstance(data, dict) or not isinstance(data.get("info"), dict):
            raise error("bad-answer", f"{url}: the answer is not about a project", place=atom.place)
        info: dict[str, Any] = {key: value for key, value in data["info"].items() if key != "description"}
        releases: dict[str, _Files] = data.get("releases") or {str(info.get("version")): data.get("urls") or []}
        versions = [version for version, files in releases.items() if _is_usable(atom, files)]
        return Found(self._values(atom, info), versions, (info, releases))

    def artefacts(self, atom: Atom, found: Found, choice: Choice) -> tuple[Values, list[Artefact]]:
        """The assets among the release's files, else its sdist; with the digests that the index gives."""
        info, releases = found.details
        files: _Files = releases.get(choice.original) or []
        values: Values = {"pypi_version": choice.original, **self._dependencies(atom, info, choice.original)}
        seen = {**choice.values, **values}
        if atom.assets:
            return values, chosen_assets(atom, seen, [_offered(file) for file in files])
        sdists = [_offered(file) for file in files if file.get("packagetype") == "sdist"]
        if not sdists:
            message = f"{atom.name}: version {choice.original} has no source distribution"
            raise error("no-tarball", message, place=atom.place, hint="choose other files with assets:")
        sdist = min(sdists, key=lambda file: (not file.name.endswith(".tar.gz"), file.name))
        return values, [Artefact((sdist.url,), tarball_name(atom, seen, sdist.name), hashes=sdist.hashes)]

    def _values(self, atom: Atom, info: Mapping[str, Any]) -> Values:
        urls = info.get("project_urls") or {}
        homepage = next((urls[name] for name in _HOMEPAGES if urls.get(name)), info.get("home_page"))
        licence = plain_text(info.get("license_expression") or info.get("license"))
        return {
            "pypi_info": go_names(dict(info)),
            "pypi_name": plain_text(info.get("name")),
            "desc": plain_text(info.get("summary")),
            "license": licence if len(licence) <= _LONG_LICENCE else "",
            "python_compat": atom.python.compat or _DEFAULT_COMPAT,
            **({"homepage": plain_text(homepage)} if homepage else {}),
        }

    def _dependencies(self, atom: Atom, info: Mapping[str, Any], version: str) -> Values:
        """``pydeps`` of the atom, else what the chosen release itself requires."""
        if atom.python.deps:
            return {name: joined(lines) for name, lines in written_dependencies(atom.python.deps).items()}
        requirements = self._requirements(atom, info, version)
        compat = atom.python.compat or _DEFAULT_COMPAT
        try:
            atoms = required_atoms(requirements, compat, atom.python.deps_ignore)
        except FarmError as failure:
            problem = failure.problems[0]
            hint = "leave it out with pydeps_ignore:, or write pydeps:"
            raise error(problem.code, f"{atom.name}: {problem.message}", place=atom.place, hint=hint) from None
        return {"py_depend": joined(atoms)} if atoms else {}

    def _requirements(self, atom: Atom, info: Mapping[str, Any], version: str) -> list[str]:
        """``requires_dist`` of this version: the project's document has only the latest one's."""
        if info.get("version") != version:
            name = quote(atom.python.name or atom.name, safe="")
            url = f"{self.around.endpoints.pypi}/pypi/{name}/{quote(version, safe='')}/json"
            try:
                info = (self.around.web.get(url, accept="application/json").json() or {}).get("info") or {}
            except FarmError as failure:
                if failure.code != "not-found":
                    raise
        return [text for text in info.get("requires_dist") or () if isinstance(text, str)]


def _is_usable(atom: Atom, files: _Files) -> bool:
    left = [file for file in files if not file.get("yanked")]
    if not left:
        return False
    if not atom.python.compat or atom.python.requires_ignore:
        return True
    return any(admits(file.get("requires_python") or "", atom.python.compat) for file in left)


def _offered(file: Mapping[str, Any]) -> Offered:
    digests = {kind: value for kind, value in (file.get("digests") or {}).items() if kind in ("sha256", "blake2b_256")}
    return Offered(str(file.get("filename")), str(file.get("url")), {k: v for k, v in digests.items() if k == "sha256"})
