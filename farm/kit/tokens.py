# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens for git servers and forges: of the environment, or of mark-devkit's configuration file. Never shown.

Environment: ``GITHUB_TOKEN``, ``GITLAB_TOKEN``, ``FORGEJO_TOKEN`` (or ``GITEA_TOKEN``) for servers of that kind.
Configuration: ``authentication.<host>.{token,username,password,url,api_version}``.
"""

from __future__ import annotations

import dataclasses
import os
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from farm.kit.git import Credentials
from farm.spec.document import open_source
from farm.spec.problem import FarmError, Place, Problem
from farm.spec.yamltext import TEXT, parse

ForgeKind = Literal["github", "gitlab", "forgejo"]
_VARIABLES: dict[ForgeKind, tuple[str, ...]] = {
    "github": ("GITHUB_TOKEN",),
    "gitlab": ("GITLAB_TOKEN",),
    "forgejo": ("FORGEJO_TOKEN", "GITEA_TOKEN"),
}
_WELL_KNOWN: dict[ForgeKind, str] = {"github": "github.com", "gitlab": "gitlab.com", "forgejo": "codeberg.org"}
_SHAPE: Any = {"authentication": {"*": dict.fromkeys(("token", "username", "password", "url", "kind"), TEXT)}}
CONFIG_NAME = "mark-devkit.yml"


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """What is known of one server. ``api``: the base URL of its API, ``""`` for the kind's usual one."""

    host: str
    kind: ForgeKind
    credentials: Credentials
    api: str = ""


@dataclasses.dataclass(frozen=True)
class Servers:
    """The configured servers. ``kind`` and ``api`` of the command line hold for the target's server alone.

    ``target`` is its host. A token of the environment goes to it, and to its kind's own well-known host, and nowhere
    else: a specification may name sources on any server.
    """

    configured: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)
    kind: ForgeKind | None = None
    api: str = ""
    target: str = ""
    environ: Mapping[str, str] = dataclasses.field(default_factory=lambda: os.environ, repr=False)

    def of(self, url: str) -> Server:
        """The server of a repository's URL."""
        host = host_of(url)
        written = self.configured.get(host, self.configured.get(host.partition(":")[0], {}))
        mine = host == self.target
        kind = (self.kind if mine else None) or _kind(written.get("kind", ""), host)
        token = written.get("token") or written.get("password") or self._token(kind, host)
        user = written.get("username") or "oauth2"
        api = (self.api if mine else "") or written.get("url", "")
        return Server(host, kind, Credentials(user, token), api)

    def _token(self, kind: ForgeKind, host: str) -> str:
        if not host or (host != self.target and host != _WELL_KNOWN[kind]):
            return ""
        return next((self.environ[name] for name in _VARIABLES[kind] if self.environ.get(name)), "")

    def aiming_at(self, url: str) -> Servers:
        """The same for a run that changes the repository of ``url``."""
        return dataclasses.replace(self, target=host_of(url))


def read_servers(config: Path | None, *, kind: ForgeKind | None = None, api: str = "") -> Servers:
    """The servers of a configuration file; without one, ./mark-devkit.yml if it is there.

    FarmError with what is wrong with the file.
    """
    file = config or Path(CONFIG_NAME)
    if config is None and not file.is_file():
        return Servers(kind=kind, api=api)
    source, problems = open_source(str(file.absolute()))
    if source is None:
        raise FarmError(problems)
    parsed = parse(source.text, source.path, _SHAPE)
    data = parsed.data if isinstance(parsed.data, dict) else {}
    written = data.get("authentication") or {}
    if not isinstance(written, dict) or not all(isinstance(value, dict) for value in written.values()):
        place = Place(source.path, 1)
        parsed.problems.append(Problem("wrong-type", "authentication must map hosts to mappings", place))
    errors = [problem for problem in parsed.problems if problem.severity == "error"]
    if errors:
        raise FarmError(errors)
    hosts = {host: {k: str(v) for k, v in value.items() if v is not None} for host, value in written.items()}
    return Servers(hosts, kind, api)


def host_of(url: str) -> str:
    """``host[:port]`` of a repository's URL, also of ``git@host:owner/name``; empty for a path."""
    if "://" in url:
        parts = urllib.parse.urlsplit(url)
        return parts.netloc.rpartition("@")[2]
    head, colon, _ = url.partition(":")
    return head.rpartition("@")[2] if colon and "/" not in head else ""


def _kind(written: str, host: str) -> ForgeKind:
    """By what is written, else by the host's name; most others run Forgejo or Gitea."""
    for kind in _VARIABLES:
        if written == kind:
            return kind
    if "github" in host:
        return "github"
    return "gitlab" if "gitlab" in host else "forgejo" if "." in host and not host[0].isdigit() else "github"
