# SPDX-License-Identifier: GPL-3.0-or-later
"""builtin-github: tags and releases by GitHub's REST API (https://docs.github.com/rest)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from farm.kit.autogen.generators.assets import Offered
from farm.kit.autogen.generators.forge import Forge, Release, Tag, described, text_of
from farm.kit.autogen.model import Atom, ForgeQuery
from farm.kit.autogen.values import Values, plain_text


class GitHub(Forge):
    """Repositories on GitHub, or, with ``generator_opts.api_url``, on a server of one's own."""

    key = "github"

    def query_of(self, atom: Atom) -> ForgeQuery:
        """``github:``"""
        return atom.github

    def address(self, query: ForgeQuery, what: str) -> str:
        """``/repos/USER/REPO…``"""
        api = self.around.options.get("api_url", "").rstrip("/") or self.around.endpoints.github_api
        path = f"{api}/repos/{query.user}/{query.repo}"
        return path if what == "repository" else f"{path}/{what}"

    def tag(self, query: ForgeQuery, data: Mapping[str, Any]) -> Tag:
        """https://docs.github.com/rest/repos/repos#list-repository-tags"""
        commit = data.get("commit") or {}
        return Tag(text_of(data, "name"), text_of(commit, "sha"), text_of(data, "tarball_url"), data)

    def release(self, query: ForgeQuery, data: Mapping[str, Any]) -> Release:
        """https://docs.github.com/rest/releases/releases#list-releases"""
        offered = tuple(
            Offered(text_of(asset, "name"), text_of(asset, "browser_download_url"), _digest(asset))
            for asset in data.get("assets") or ()
        )
        hidden = bool(data.get("prerelease") or data.get("draft"))
        sha, tarball = text_of(data, "target_commitish"), text_of(data, "tarball_url")
        return Release(text_of(data, "name"), text_of(data, "tag_name"), sha, tarball, offered, hidden, data)

    def repository_values(self, query: ForgeQuery, data: Mapping[str, Any] | None) -> Values:
        """Description, homepage, licence, and where to clone from."""
        values: Values = {"git_repo": f"{self.around.endpoints.github}/{query.user}/{query.repo}.git"}
        if data is None:
            return values
        values |= described(data, "homepage", "html_url")
        values["github_fullname"] = plain_text(data.get("full_name"))
        if licence := (data.get("license") or {}).get("spdx_id"):
            values["license"] = plain_text(licence)
        return values


def _digest(asset: Mapping[str, Any]) -> dict[str, str]:
    kind, _, digest = text_of(asset, "digest").partition(":")
    return {kind: digest} if kind == "sha256" and digest else {}
