# SPDX-License-Identifier: GPL-3.0-or-later
"""GitHub's REST API (2022-11-28)."""

from __future__ import annotations

import urllib.parse
from typing import Any

from farm.kit.forge.interface import NewPull, Pull, State
from farm.kit.forge.rest import Params, Rest, make_once
from farm.kit.git import Credentials

_ALREADY = 422
"""The status of a pull request that exists already."""


class GitHub:
    """See `farm.kit.forge.interface.Forge`."""

    def __init__(self, owner: str, name: str, credentials: Credentials, api: str = "", *, pause: float = 1.0) -> None:
        self._owner = owner
        self._repository = f"/repos/{urllib.parse.quote(owner)}/{urllib.parse.quote(name)}"
        header = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        if credentials.token:
            header["Authorization"] = f"Bearer {credentials.token}"
        self._rest = Rest(api or "https://api.github.com", header, pause=pause)

    def open_pulls(self, base: str) -> list[Pull]:
        """See `Forge`."""
        query: Params = {"state": "open", "base": base, "per_page": 100, "sort": "created", "direction": "asc"}
        return [_pull(found) for found in self._rest.pages(f"{self._repository}/pulls", query)]

    def pulls_of(self, head: str, base: str) -> list[Pull]:
        """See `Forge`."""
        query: Params = {"state": "all", "base": base, "head": f"{self._owner}:{head}", "per_page": 100}
        found = [_pull(one) for one in self._rest.pages(f"{self._repository}/pulls", query)]
        return sorted((pull for pull in found if pull.head == head), key=lambda pull: -pull.number)

    def create(self, pull: NewPull) -> Pull:
        """See `Forge`."""
        body = {
            "title": pull.title,
            "head": pull.head,
            "base": pull.base,
            "body": pull.body,
            "maintainer_can_modify": True,
        }
        return make_once(
            lambda: _pull(self._rest.send("POST", f"{self._repository}/pulls", body)),
            lambda: self.pulls_of(pull.head, pull.base),
            _ALREADY,
        )

    def close(self, number: int, comment: str) -> None:
        """See `Forge`."""
        self._rest.send("PATCH", f"{self._repository}/pulls/{number}", {"state": "closed"}, repeat=True)
        self._rest.send("POST", f"{self._repository}/issues/{number}/comments", {"body": comment})


def _pull(found: Any) -> Pull:
    state: State = "merged" if found.get("merged_at") else found["state"]
    head = found["head"]
    return Pull(
        int(found["number"]),
        found["title"],
        head["ref"],
        found["base"]["ref"],
        state,
        found.get("html_url") or "",
        head.get("sha") or "",
    )
