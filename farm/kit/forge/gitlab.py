# SPDX-License-Identifier: GPL-3.0-or-later
"""GitLab's REST API (v4), where pull requests are called merge requests."""

from __future__ import annotations

import urllib.parse
from typing import Any

from farm.kit.forge.interface import NewPull, Pull, State
from farm.kit.forge.rest import Params, Rest, make_once
from farm.kit.git import Credentials

_ALREADY = 409
_STATES: dict[str, State] = {"opened": "open", "locked": "open", "closed": "closed", "merged": "merged"}


class GitLab:
    """See `farm.kit.forge.interface.Forge`. ``api``: ``https://host/api/v4``."""

    def __init__(self, owner: str, name: str, credentials: Credentials, api: str, *, pause: float = 1.0) -> None:
        project = urllib.parse.quote(f"{owner}/{name}", safe="")
        self._requests = f"/projects/{project}/merge_requests"
        header = {"PRIVATE-TOKEN": credentials.token} if credentials.token else {}
        self._rest = Rest(api, header, pause=pause)

    def open_pulls(self, base: str) -> list[Pull]:
        """See `Forge`."""
        query: Params = {
            "state": "opened",
            "target_branch": base,
            "per_page": 100,
            "order_by": "created_at",
            "sort": "asc",
        }
        return [_pull(one) for one in self._rest.pages(self._requests, query)]

    def pulls_of(self, head: str, base: str) -> list[Pull]:
        """See `Forge`."""
        query: Params = {"state": "all", "target_branch": base, "source_branch": head, "per_page": 100}
        found = [_pull(one) for one in self._rest.pages(self._requests, query)]
        return sorted((pull for pull in found if pull.head == head), key=lambda pull: -pull.number)

    def create(self, pull: NewPull) -> Pull:
        """See `Forge`."""
        body = {
            "title": pull.title,
            "source_branch": pull.head,
            "target_branch": pull.base,
            "description": pull.body,
            "allow_collaboration": True,
        }
        return make_once(
            lambda: _pull(self._rest.send("POST", self._requests, body)),
            lambda: self.pulls_of(pull.head, pull.base),
            _ALREADY,
        )

    def close(self, number: int, comment: str) -> None:
        """See `Forge`."""
        self._rest.send("PUT", f"{self._requests}/{number}", {"state_event": "close"}, repeat=True)
        self._rest.send("POST", f"{self._requests}/{number}/notes", {"body": comment})


def _pull(found: Any) -> Pull:
    return Pull(
        int(found["iid"]),
        found["title"],
        found["source_branch"],
        found["target_branch"],
        _STATES[found["state"]],
        found.get("web_url") or "",
        found.get("sha") or "",
    )
