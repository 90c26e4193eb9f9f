# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the services are, and what is shown to them: addresses and tokens. A token never gets into a message."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from farm.spec.document import open_source
from farm.spec.problem import FarmError
from farm.spec.yamltext import TEXT, parse

_TOKEN_VARIABLES = {"GITHUB_TOKEN": "api.github.com", "GITLAB_TOKEN": "gitlab.com", "FORGEJO_TOKEN": "codeberg.org"}
_SHAPE = {"authentication": {"*": {"*": TEXT}}}
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
    """Tokens by host (``host`` or ``host:port``). Shown as their hosts only."""

    def __init__(self, by_host: Mapping[str, str] | None = None) -> None:
        self._by_host = {host.lower(): token for host, token in (by_host or {}).items() if token}

    def __repr__(self) -> str:
        return f"Tokens({', '.join(sorted(self._by_host))})"

    def for_url(self, url: str) -> str | None:
        """The token for this address, if there is one and it would not go over the wire in the clear."""
        parts = urlsplit(url)
        token = self._by_host.get(parts.netloc.lower()) or self._by_host.get((parts.hostname or "").lower())
        safe = parts.scheme == "https" or _is_loopback(parts.hostname or "")
        return token if token and safe else None

    def hide(self, text: str) -> str:
        """``text`` with every token in it struck out."""
        for token in self._by_host.values():
            text = text.replace(token, "***")
        return text


def read_tokens(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Tokens:
    """Tokens of mark-devkit's configuration (``authentication.HOST.token``), and of the environment, which wins.

    ``GITHUB_TOKEN``, ``GITLAB_TOKEN``, ``FORGEJO_TOKEN`` are for github.com, gitlab.com and codeberg.org;
    ``FARM_TOKEN_HOST`` (dots and colons as ``_``) is for any host that the configuration names without a token.
    FarmError when the file cannot be read.
    """
    environ = os.environ if environ is None else environ
    found: dict[str, str] = {}
    for host, entry in _authentication(config).items():
        variable = "FARM_TOKEN_" + host.upper().replace(".", "_").replace("-", "_").replace(":", "_")
        found[_API_OF.get(host, host)] = environ.get(variable) or entry.get("token") or entry.get("password") or ""
    for variable, host in _TOKEN_VARIABLES.items():
        if environ.get(variable):
            found[host] = environ[variable]
    if environ.get("FARM_GITHUB_API") and environ.get("GITHUB_TOKEN"):
        found[urlsplit(environ["FARM_GITHUB_API"]).netloc] = environ["GITHUB_TOKEN"]
    return Tokens(found)


def _authentication(config: Path | None) -> dict[str, dict[str, str]]:
    if config is None:
        return {}
    source, problems = open_source(str(config.absolute()))
    if source is None:
        raise FarmError(problems)
    parsed = parse(source.text, source.path, _SHAPE)
    if parsed.problems:
        raise FarmError(parsed.problems)
    data = parsed.data if isinstance(parsed.data, dict) else {}
    section = data.get("authentication")
    section = section if isinstance(section, dict) else {}
    return {host: entry for host, entry in section.items() if isinstance(entry, dict)}


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
