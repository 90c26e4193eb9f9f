# SPDX-License-Identifier: GPL-3.0-or-later
"""Forgejo's and Gitea's REST API (v1): as GitHub's, but for searching by head, page sizes and the token's scheme."""

from __future__ import annotations

import urllib.parse
from typing import Any

from farm.kit.forge.interface import NewPull, Pull, State
from farm.kit.forge.rest import Params, Rest, make_once
from farm.kit.git import Credentials

_ALREADY = 409
_PAGE = 50


class Forgejo:
    """See `farm.kit.forge.interface.Forge`. ``api``: ``https://host/api/v1``."""

    def __init__(self, owner: str, name: str, credentials: Credentials, api: str, *, pause: float = 1.0) -> None:
        self._repository = f"/repos/{urllib.parse.quote(owner)}/{urllib.parse.quote(name)}"
        header = {"Authorization": f"token {credentials.token}"} if credentials.token else {}
        self._rest = Rest(api, header, pause=pause)

    def open_pulls(self, base: str) -> list[Pull]:
        """See `Forge`."""
        return [pull for pull in self._all("open") if pull.base == base]

    def pulls_of(self, head: str, base: str) -> list[Pull]:
        """See `Forge`."""
        found = [pull for pull in self._all("all") if pull.head == head and pull.base == base]
        return sorted(found, key=lambda pull: -pull.number)

    def _all(self, state: str) -> list[Pull]:
        query: Params = {"state": state, "limit": _PAGE}
        return [_pull(one) for one in self._rest.pages(f"{self._repository}/pulls", query, size=_PAGE)]

    def create(self, pull: NewPull) -> Pull:
        """See `Forge`."""
        body = {"title": pull.title, "head": pull.head, "base": pull.base, "body": pull.body}
        return make_once(
            lambda: _pull(self._rest.send("POST", f"{self._repository}/pulls", body)),
            lambda: [one for one in self._all("open") if one.head == pull.head],
            _ALREADY,
        )

    def close(self, number: int, comment: str) -> None:
        """See `Forge`."""
        self._rest.send("PATCH", f"{self._repository}/pulls/{number}", {"state": "closed"}, repeat=True)
        self._rest.send("POST", f"{self._repository}/issues/{number}/comments", {"body": comment})


def _pull(found: Any) -> Pull:
    head = found["head"]
    state: State = "merged" if found.get("merged") else found["state"]
    url, commit = found.get("html_url") or "", head.get("sha") or ""
    return Pull(int(found["number"]), found["title"], head["ref"], found["base"]["ref"], state, url, commit)
