# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags and releases of a repository, the same for GitHub, GitLab and Forgejo. What differs is in their own files."""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from farm.kit.autogen.generators.assets import Offered, chosen_assets, tarball_name
from farm.kit.autogen.generators.protocol import Choice, Found, Surroundings
from farm.kit.autogen.model import Atom, ForgeQuery
from farm.kit.autogen.regexes import matches
from farm.kit.autogen.values import Artefact, Values, go_names, plain_text
from farm.spec.problem import FarmError, error

MAX_PAGES = 1000

_VERSION_TAG = re.compile(r"v[0-9]")


@dataclasses.dataclass(frozen=True, slots=True)
class Tag:
    """A tag; ``data`` is what the API says of it."""

    name: str
    sha: str
    tarball: str
    data: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Release:
    """A release; ``hidden``: a draft or not meant for everyone yet. ``sha`` is what it says it was made of."""

    name: str
    tag: str
    sha: str
    tarball: str
    offered: tuple[Offered, ...]
    hidden: bool
    data: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class _Details:
    query: ForgeQuery
    tags: Mapping[str, Tag]
    releases: Mapping[str, Release]


class Forge(abc.ABC):
    """A generator for repositories of one kind of forge."""

    key: str
    """The atom's key, and the beginning of the names of the values."""

    size_parameter = "per_page"

    def __init__(self, surroundings: Surroundings) -> None:
        self.around = surroundings

    @abc.abstractmethod
    def query_of(self, atom: Atom) -> ForgeQuery:
        """The part of the atom that is for this forge."""

    @abc.abstractmethod
    def address(self, query: ForgeQuery, what: str) -> str:
        """The API's address of ``tags``, ``releases`` or the ``repository`` itself."""

    @abc.abstractmethod
    def tag(self, query: ForgeQuery, data: Mapping[str, Any]) -> Tag:
        """A tag as the API has it."""

    @abc.abstractmethod
    def release(self, query: ForgeQuery, data: Mapping[str, Any]) -> Release:
        """A release as the API has it."""

    @abc.abstractmethod
    def repository_values(self, query: ForgeQuery, data: Mapping[str, Any] | None) -> Values:
        """Values of the repository itself; ``data`` is None when the API does not tell."""

    def process(self, atom: Atom) -> Found:
        """Tags or releases. FarmError as the API's requests; a repository without a description is no error."""
        written = self.query_of(atom)
        query = dataclasses.replace(written, user=written.user or atom.name, repo=written.repo or atom.name)
        wants_tags = query.query == "tags" or not query.ignore_tags
        tags = [self.tag(query, data) for data in self._pages(query, "tags", atom)] if wants_tags else []
        if query.query == "tags":
            by_version = {_bare(tag.name): tag for tag in tags if _admits(query, tag.name)}
            details = _Details(query, by_version, {})
        else:
            details = self._releases(query, {tag.name: tag for tag in tags}, atom)
        versions = list(details.tags if query.query == "tags" else details.releases)
        return Found(self._values(query), versions, details)

    def artefacts(self, atom: Atom, found: Found, choice: Choice) -> tuple[Values, list[Artefact]]:
        """The assets of the release, else the tarball of the release or of the tag."""
        details: _Details = found.details
        query = details.query
        release = details.releases.get(choice.original)
        tag = details.tags.get(release.tag if release else choice.original)
        sha = tag.sha if tag else (release.sha if release else "")
        short = sha[:7] if len(sha) > 7 else ""
        values: Values = {
            "sha": sha,
            "tag": go_names(tag.data) if tag else None,
            "pkg_basedir": f"{query.user}-{query.repo}-{short or choice.original}",
        }
        if query.query == "releases":
            values["release"] = go_names(release.data) if release else None
        seen = {**choice.values, **values}
        if atom.assets:
            return values, chosen_assets(atom, seen, release.offered if release else None)
        url = (release.tarball if release else "") or (tag.tarball if tag else "")
        if not url:
            message = f"{atom.name}: there is no release or tag {choice.original!r} to take a tarball from"
            raise error("no-tarball", message, place=atom.place, hint="raise num_pages:, or give assets with a url:")
        ending = ".tar.bz2" if url.partition("?")[0].endswith(".tar.bz2") else ".tar.gz"
        parts = [atom.name, str(seen.get("pv") or choice.version), *([short] if short else [])]
        return values, [Artefact((url,), tarball_name(atom, seen, "-".join(parts) + ending))]

    def _releases(self, query: ForgeQuery, tags: Mapping[str, Tag], atom: Atom) -> _Details:
        kept: dict[str, Release] = {}
        used: dict[str, Tag] = {}
        for data in self._pages(query, "releases", atom):
            release = self.release(query, data)
            tag = None if query.ignore_tags else _tag_of(release, tags)
            if release.hidden or not (tag or query.ignore_tags):
                continue
            version = _bare(release.name or (tag.name if tag else release.tag))
            if _admits(query, version) and version not in kept:
                kept[version] = dataclasses.replace(release, tag=tag.name if tag else release.tag)
                if tag:
                    used[tag.name] = tag
        return _Details(query, used, kept)

    def _pages(self, query: ForgeQuery, what: str, atom: Atom) -> list[Mapping[str, Any]]:
        """``num_pages`` pages from ``page`` on; one when that is not given; fewer when there are no more."""
        found: list[Mapping[str, Any]] = []
        wanted = min(max(query.pages or 1, 1), MAX_PAGES)
        url = self.address(query, what)
        for page in range(query.first_page, query.first_page + wanted):
            params: dict[str, str | int] = {}
            if query.per_page:
                params[self.size_parameter] = query.per_page
            if page > 1 or query.pages:
                params["page"] = page
            document = self.around.web.get(url, params, accept="application/json", user_agent=atom.user_agent)
            data = document.json()
            if not isinstance(data, list):
                raise error("bad-answer", f"{url}: a list was expected", place=atom.place)
            found += [entry for entry in data if isinstance(entry, dict)]
            if not data or not document.next_page:
                break
        return found

    def _values(self, query: ForgeQuery) -> Values:
        try:
            data = self.around.web.get(self.address(query, "repository"), accept="application/json").json()
        except FarmError as failure:
            if failure.code not in ("not-found", "request-failed", "bad-json"):
                raise
            data = None
        data = data if isinstance(data, dict) else None
        return {
            f"{self.key}_user": query.user,
            f"{self.key}_repo": query.repo,
            **({"repository": go_names(data)} if data else {}),
            **self.repository_values(query, data),
        }


def described(data: Mapping[str, Any], homepage: str, fallback: str) -> Values:
    """``desc`` and ``homepage`` of a repository."""
    return {
        "desc": plain_text(data.get("description")),
        "homepage": plain_text(data.get(homepage) or data.get(fallback)),
    }


def text_of(data: Mapping[str, Any], key: str) -> str:
    """A text of the API; empty for null, and for what is none."""
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _bare(name: str) -> str:
    return name[1:] if _VERSION_TAG.match(name) else name


def _admits(query: ForgeQuery, text: str) -> bool:
    return not query.match or matches(query.match, text)


def _tag_of(release: Release, tags: Mapping[str, Tag]) -> Tag | None:
    """A release's tag. Some releases name their tag without its v."""
    names = [release.tag]
    if release.name and not release.name.startswith("v"):
        names.append("v" + release.name)
    return next((tags[name] for name in names if name in tags), None)
