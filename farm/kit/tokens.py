# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens for git servers and forges: of the environment, or of mark-devkit's configuration file. Never shown.

Environment: ``GITHUB_TOKEN``, ``GITLAB_TOKEN``, ``FORGEJO_TOKEN`` (or ``GITEA_TOKEN``) for servers of that kind, and
``FARM_TOKEN_<HOST>`` or ``FARM_TOKEN_FILE_<HOST>`` for one server (`host_variable`). Configuration:
``authentication.<host>.{token,token_env,token_file,username,password,url,api_version}``.
"""

from __future__ import annotations

import dataclasses
import os
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from farm.kit.git import Credentials
from farm.kit.secretfile import read_secret
from farm.spec.document import open_source
from farm.spec.problem import FarmError, Place, Problem
from farm.spec.yamltext import TEXT, Parsed, parse

ForgeKind = Literal["github", "gitlab", "forgejo"]
_VARIABLES: dict[ForgeKind, tuple[str, ...]] = {
    "github": ("GITHUB_TOKEN",),
    "gitlab": ("GITLAB_TOKEN",),
    "forgejo": ("FORGEJO_TOKEN", "GITEA_TOKEN"),
}
_WELL_KNOWN: dict[ForgeKind, str] = {"github": "github.com", "gitlab": "gitlab.com", "forgejo": "codeberg.org"}
_SHAPE: Any = {"authentication": {"*": {"*": TEXT}}}
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
        """The server of a repository's URL. FarmError when its token stands in a file and cannot be read."""
        host = host_of(url)
        written = self.configured.get(host, self.configured.get(host.partition(":")[0], {}))
        mine = host == self.target
        kind = (self.kind if mine else None) or _kind(written.get("kind", ""), host)
        token = written.get("token") or written.get("password") or host_token(host, self.environ)
        token = token or self._token(kind, host)
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
    problems = [*_resolve_tokens(hosts, file.absolute().parent, parsed)]
    if problems:
        raise FarmError(problems)
    return Servers(hosts, kind, api)


def _resolve_tokens(hosts: Mapping[str, dict[str, str]], folder: Path, parsed: Parsed) -> Iterator[Problem]:
    """Puts what ``token_env`` and ``token_file`` lead to where ``token`` would be. Gives what is wrong."""
    for host, entry in hosts.items():
        name, file = entry.get("token_env", ""), entry.get("token_file", "")
        place = parsed.place(("authentication", host))
        if name and not os.environ.get(name):
            yield Problem("no-token", f"{host}: the variable {name} is not set", place, f"set it, or remove {name!r}")
        elif name:
            entry["token"] = os.environ[name]
        elif file:
            try:
                entry["token"] = read_secret(folder / Path(file).expanduser(), place=place)
            except FarmError as failure:
                yield from failure.problems


def host_variable(host: str) -> str:
    """``GIT_EXAMPLE_ORG`` for ``git.example.org``: ``.`` is ``_``, ``-`` is ``__``, the port's colon ``_PORT_``.

    No two hosts have the same, so that nobody gets another one's token by a name that looks alike.
    """
    return host.upper().replace("-", "__").replace(".", "_").replace(":", "_PORT_")


def host_token(host: str, environ: Mapping[str, str]) -> str:
    """The token that the environment has for this very host; empty without one. FarmError as `read_secret`."""
    name = host_variable(host)
    if token := environ.get(f"FARM_TOKEN_{name}"):
        return token
    file = environ.get(f"FARM_TOKEN_FILE_{name}")
    return read_secret(file) if host and file else ""


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
