# SPDX-License-Identifier: GPL-3.0-or-later
"""builtin-gitlab: tags and releases by GitLab's REST API (https://docs.gitlab.com/api/rest/)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from farm.kit.autogen.generators.assets import Offered
from farm.kit.autogen.generators.forge import Forge, Release, Tag, described, text_of
from farm.kit.autogen.generators.protocol import Surroundings
from farm.kit.autogen.model import Atom, ForgeQuery
from farm.kit.autogen.values import Values, plain_text
from farm.spec.problem import error

_PREFERRED = ("tar.bz2", "tar.gz")


class GitLab(Forge):
    """Repositories on the server ``generator_opts.host`` (with https://); ``api_version`` is 4 unless given."""

    key = "gitlab"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self.host = surroundings.options.get("host", "").rstrip("/")
        if not self.host:
            raise error("no-host", "builtin-gitlab needs a host", hint="add host: https://… to generator_opts")

    def query_of(self, atom: Atom) -> ForgeQuery:
        """``gitlab:``"""
        return atom.gitlab

    def address(self, query: ForgeQuery, what: str) -> str:
        """``/projects/USER%2FREPO…``"""
        api = f"{self.host}/api/v{self.around.options.get('api_version', '4')}"
        project = f"{api}/projects/{quote(f'{query.user}/{query.repo}', safe='')}"
        return {"tags": f"{project}/repository/tags", "releases": f"{project}/releases"}.get(what, project)

    def tag(self, query: ForgeQuery, data: Mapping[str, Any]) -> Tag:
        """https://docs.gitlab.com/api/tags/; the API names no tarball, but its address is well known."""
        name = text_of(data, "name")
        archive = f"{quote(name, safe='')}/{query.repo}-{quote(name.replace('/', '-'))}.tar.gz"
        url = f"{self.host}/{query.user}/{query.repo}/-/archive/{archive}"
        return Tag(name, text_of(data.get("commit") or {}, "id"), url, data)

    def release(self, query: ForgeQuery, data: Mapping[str, Any]) -> Release:
        """https://docs.gitlab.com/api/releases/; of the sources the tarball in bzip2 is taken, as mark-devkit does."""
        assets = data.get("assets") or {}
        offered = tuple(
            Offered(text_of(link, "name"), text_of(link, "direct_asset_url") or text_of(link, "url"))
            for link in assets.get("links") or ()
        )
        sources = {text_of(source, "format"): text_of(source, "url") for source in assets.get("sources") or ()}
        tarball = next((sources[kind] for kind in _PREFERRED if sources.get(kind)), "")
        sha, hidden = text_of(data.get("commit") or {}, "id"), bool(data.get("upcoming_release"))
        return Release(text_of(data, "name"), text_of(data, "tag_name"), sha, tarball, offered, hidden, data)

    def repository_values(self, query: ForgeQuery, data: Mapping[str, Any] | None) -> Values:
        """Description, homepage, and where to clone from."""
        if data is None:
            return {"git_repo": f"{self.host}/{query.user}/{query.repo}.git"}
        values = described(data, "web_url", "web_url")
        return {
            **values,
            "gitlab_fullname": plain_text(data.get("name")),
            "git_repo": text_of(data, "http_url_to_repo"),
        }
