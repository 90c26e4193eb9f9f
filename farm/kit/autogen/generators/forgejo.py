# SPDX-License-Identifier: GPL-3.0-or-later
"""builtin-forgejo: tags and releases by Forgejo's (Gitea's) REST API (``/api/swagger`` of any server)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from farm.kit.autogen.generators.assets import Offered
from farm.kit.autogen.generators.forge import Forge, Release, Tag, described, text_of
from farm.kit.autogen.generators.protocol import Surroundings
from farm.kit.autogen.model import Atom, ForgeQuery
from farm.kit.autogen.values import Values, plain_text
from farm.spec.problem import error


class Forgejo(Forge):
    """Repositories on the server ``generator_opts.host`` (with https://)."""

    key = "forgejo"
    size_parameter = "limit"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self.host = surroundings.options.get("host", "").rstrip("/")
        if not self.host:
            raise error("no-host", "builtin-forgejo needs a host", hint="add host: https://… to generator_opts")

    def query_of(self, atom: Atom) -> ForgeQuery:
        """``forgejo:``"""
        return atom.forgejo

    def address(self, query: ForgeQuery, what: str) -> str:
        """``/repos/USER/REPO…``"""
        path = f"{self.host}/api/v1/repos/{query.user}/{query.repo}"
        return {"tags": f"{path}/tags", "releases": f"{path}/releases?draft=false&pre-release=false"}.get(what, path)

    def tag(self, query: ForgeQuery, data: Mapping[str, Any]) -> Tag:
        """``/repos/{owner}/{repo}/tags``"""
        commit = data.get("commit") or {}
        return Tag(text_of(data, "name"), text_of(commit, "sha"), text_of(data, "tarball_url"), data)

    def release(self, query: ForgeQuery, data: Mapping[str, Any]) -> Release:
        """``/repos/{owner}/{repo}/releases``"""
        offered = tuple(
            Offered(text_of(asset, "name"), text_of(asset, "browser_download_url"))
            for asset in data.get("assets") or ()
        )
        hidden = bool(data.get("prerelease") or data.get("draft"))
        sha, tarball = text_of(data, "target_commitish"), text_of(data, "tarball_url")
        return Release(text_of(data, "name"), text_of(data, "tag_name"), sha, tarball, offered, hidden, data)

    def repository_values(self, query: ForgeQuery, data: Mapping[str, Any] | None) -> Values:
        """Description, homepage, and where to clone from."""
        if data is None:
            return {"git_repo": f"{self.host}/{query.user}/{query.repo}.git"}
        values = described(data, "website", "html_url")
        return {**values, "forgejo_fullname": plain_text(data.get("full_name")), "git_repo": text_of(data, "clone_url")}
