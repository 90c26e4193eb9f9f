# SPDX-License-Identifier: GPL-3.0-or-later
"""Which forge a repository is on."""

from __future__ import annotations

from farm.kit.forge.interface import Forge
from farm.kit.tokens import Server, Servers
from farm.spec.problem import error


def forge_of(url: str, servers: Servers, *, owner: str = "", name: str = "", pause: float = 1.0) -> Forge:
    """The forge of a repository. ``owner`` and ``name`` instead of those of the URL (``--github-user``).

    FarmError ``no-forge`` for a repository that is on none.
    """
    server = servers.of(url)
    path = url.partition("://")[2].partition("/")[2] if "://" in url else url.partition(":")[2]
    parts = path.removesuffix(".git").strip("/").split("/")
    if (not server.host and not server.api) or (len(parts) < 2 and not owner):
        raise error("no-forge", f"{url} is on no forge: there can be no pull requests", hint="leave --pr out")
    owner, name = owner or "/".join(parts[:-1]), name or parts[-1]
    return _made(server, url, owner, name, pause)


def _made(server: Server, url: str, owner: str, name: str, pause: float) -> Forge:
    scheme = "http" if url.startswith("http://") else "https"
    if server.kind == "gitlab":
        from farm.kit.forge.gitlab import GitLab

        return GitLab(owner, name, server.credentials, server.api or f"{scheme}://{server.host}/api/v4", pause=pause)
    if server.kind == "forgejo":
        from farm.kit.forge.forgejo import Forgejo

        return Forgejo(owner, name, server.credentials, server.api or f"{scheme}://{server.host}/api/v1", pause=pause)
    from farm.kit.forge.github import GitHub

    usual = "" if server.host in ("github.com", "") else f"{scheme}://{server.host}/api/v3"
    return GitHub(owner, name, server.credentials, server.api or usual, pause=pause)
