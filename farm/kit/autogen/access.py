# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the services are, and what is shown to them: addresses and tokens. A token never gets into a message."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from farm.kit.tokens import Servers, host_token

_TOKEN_VARIABLES = {"GITHUB_TOKEN": "api.github.com", "GITLAB_TOKEN": "gitlab.com", "FORGEJO_TOKEN": "codeberg.org"}
_API_OF = {"github.com": "api.github.com"}


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoints:
    """Base addresses, without a slash at the end. ``FARM_GITHUB_API`` and so on in the environment override them."""

    github_api: str = "https://api.github.com"
    github: str = "https://github.com"
    pypi: str = "https://pypi.org"
    goproxy: str = "https://proxy.golang.org"
    crates: str = "https://crates.io/api/v1/crates"

    @staticmethod
    def of(environ: Mapping[str, str] | None = None) -> Endpoints:
        """The defaults, with what the environment says in place of them."""
        environ = os.environ if environ is None else environ
        names = [field.name for field in dataclasses.fields(Endpoints)]
        given = {name: environ.get(f"FARM_{name.upper()}", "").rstrip("/") for name in names}
        return Endpoints(**{name: value for name, value in given.items() if value})


class Tokens:
    """Tokens by host (``host`` or ``host:port``), and those of ``environ`` for one host. Shown as their hosts only."""

    def __init__(self, by_host: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None) -> None:
        self._environ = environ or {}
        self._by_host = {host.lower(): token for host, token in (by_host or {}).items() if token}

    def __repr__(self) -> str:
        return f"Tokens({', '.join(sorted(host for host, token in self._by_host.items() if token))})"

    def for_url(self, url: str) -> str | None:
        """The token for this address, if there is one and it would not go over the wire in the clear."""
        parts = urlsplit(url)
        token = next((token for host in (parts.netloc, parts.hostname or "") if (token := self._of(host.lower()))), "")
        safe = parts.scheme == "https" or _is_loopback(parts.hostname or "")
        return token if token and safe else None

    def _of(self, host: str) -> str:
        if host and host not in self._by_host:
            self._by_host[host] = host_token(host, self._environ)
        return self._by_host.get(host, "")

    def hide(self, text: str) -> str:
        """``text`` with every token in it struck out."""
        for token in filter(None, list(self._by_host.values())):
            text = text.replace(token, "***")
        return text


def tokens_of(servers: Servers, environ: Mapping[str, str] | None = None) -> Tokens:
    """Tokens of mark-devkit's configuration (``authentication.HOST.token``), and of the environment.

    ``GITHUB_TOKEN``, ``GITLAB_TOKEN``, ``FORGEJO_TOKEN`` are for github.com (or ``FARM_GITHUB_API``), gitlab.com and
    codeberg.org; ``FARM_TOKEN_HOST`` for any one server.
    """
    environ = os.environ if environ is None else environ
    found = {host: environ[name] for name, host in _TOKEN_VARIABLES.items() if environ.get(name)}
    if environ.get("FARM_GITHUB_API") and environ.get("GITHUB_TOKEN"):
        found[urlsplit(environ["FARM_GITHUB_API"]).netloc] = environ["GITHUB_TOKEN"]
    for host, entry in servers.configured.items():
        if token := entry.get("token") or entry.get("password"):
            found[host] = found[_API_OF.get(host, host)] = token
    return Tokens(found, environ)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
