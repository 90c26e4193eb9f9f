# SPDX-License-Identifier: GPL-3.0-or-later
"""The package archives that the host's own apt is set up with: sources.list(5), both of its formats.

No address of a mirror stands in the farm's files: all come from here.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

HELPER = Path("/usr/lib/apt/apt-helper")
"""apt's own downloader: it knows apt's proxies, schemes and credentials."""

_POCKETS = ("", "-updates", "-security", "-backports", "-proposed-updates", "-proposed")
_ROLLING = ("sid", "unstable", "experimental", "testing")


@dataclasses.dataclass(frozen=True, slots=True)
class Archive:
    """One entry of apt's sources for binary packages. ``signed_by`` as written: a keyring, or a key block."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""

    def stanza(self) -> str:
        """The entry in deb822 form, as ``*.sources`` files have it."""
        lines = ["Types: deb", f"URIs: {' '.join(self.uris)}", f"Suites: {' '.join(self.suites)}"]
        lines += [f"Components: {' '.join(self.components)}"] if self.components else []
        lines += [f"Signed-By: {self.signed_by}"] if self.signed_by else []
        return "\n".join(lines) + "\n"


@dataclasses.dataclass(frozen=True, slots=True)
class Distribution:
    """The host's release: ``ID`` and ``VERSION_CODENAME`` of os-release(5)."""

    name: str
    codename: str


@functools.cache
def host_distribution(path: Path = Path("/etc/os-release")) -> Distribution:
    """What /etc/os-release says; empty texts when it does not."""
    values: dict[str, str] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            key, found, value = line.partition("=")
            if found:
                values[key.strip()] = "".join(shlex.split(value))
    return Distribution(values.get("ID", ""), values.get("VERSION_CODENAME", ""))


def parse_list(text: str) -> Iterator[Archive]:
    """Entries of the one-line format (``*.list``)."""
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<uri>\S+)\s+(?P<rest>[^#]+)", line.strip())
        if match:
            suite, *components = match["rest"].split()
            options = dict(option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
            yield Archive((match["uri"],), (suite,), tuple(components), options.get("signed-by", ""))


def parse_sources(text: str) -> Iterator[Archive]:
    """Entries of the deb822 format (``*.sources``)."""
    for block in re.split(r"\n\s*\n", text):
        fields = _fields(block)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in ("no", "false"):
            continue
        uris, suites = fields.get("uris", "").split(), fields.get("suites", "").split()
        components = fields.get("components", "").split()
        yield Archive(tuple(uris), tuple(suites), tuple(components), fields.get("signed-by", "").lstrip())


def archives() -> tuple[Archive, ...]:
    """All entries of the host's apt, in the order of its files; none on a host without apt."""
    found: list[Archive] = []
    for path in _files():
        text = path.read_text(encoding="utf-8", errors="replace")
        found += parse_sources(text) if path.suffix == ".sources" else parse_list(text)
    return tuple(found)


def distribution_archives(entries: Iterable[Archive], host: Distribution) -> tuple[Archive, ...]:
    """Those of the distribution itself (its release, updates and security), without third parties' archives."""
    suites = {host.codename + pocket for pocket in _POCKETS}
    matching = [entry for entry in entries if suites.intersection(entry.suites) and "main" in entry.components]
    own = [entry for entry in matching if not entry.signed_by or f"{host.name}-archive" in entry.signed_by]
    return tuple(own or matching)


def for_suite(
    entries: Iterable[Archive], host: Distribution, suite: str, components: tuple[str, ...]
) -> tuple[Archive, ...]:
    """The distribution's archives turned to another ``suite`` and ``components``, backports and proposed left out."""
    found = []
    for entry in entries:
        pockets = [name.removeprefix(host.codename) for name in entry.suites if name.startswith(host.codename)]
        kept = [pocket for pocket in pockets if pocket in (("",) if suite in _ROLLING else _POCKETS[:3])]
        if kept:
            suites = tuple(suite + pocket for pocket in kept)
            found.append(dataclasses.replace(entry, suites=suites, components=components))
    return tuple(found)


def mirrors() -> tuple[str, ...]:
    """Addresses (without a final slash) below which ``pool/…`` of the distribution is found."""
    entries = distribution_archives(archives(), host_distribution())
    return tuple(dict.fromkeys(uri.rstrip("/") for entry in entries for uri in entry.uris))


def proxies() -> dict[str, str]:
    """The proxies that apt itself is told to use, as environment variables for programs that are not."""
    found = _settings("http_proxy", "Acquire::http::Proxy", "https_proxy", "Acquire::https::Proxy")
    return {name: value for name, value in found.items() if value not in ("", "DIRECT", "false")}


def _files() -> Iterator[Path]:
    settings = _settings("LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d")
    if not settings:
        return
    main = Path(settings.get("LIST", "/etc/apt/sources.list"))
    parts = Path(settings.get("PARTS", "/etc/apt/sources.list.d"))
    if main.is_file():
        yield main
    if parts.is_dir():
        yield from sorted(path for path in parts.iterdir() if path.suffix in (".list", ".sources"))


def _settings(*names: str) -> dict[str, str]:
    """What ``apt-config shell`` says: pairs of a variable and the setting that it is to have. Empty without apt."""
    if not shutil.which("apt-config"):
        return {}
    text = subprocess.run(["apt-config", "shell", *names], capture_output=True, text=True, check=True).stdout
    pairs = (word.partition("=") for word in shlex.split(text))
    return {name: value for name, _, value in pairs}


def _fields(block: str) -> dict[str, str]:
    """The fields of one stanza, names in lower case; continuation lines are kept as they are."""
    fields: dict[str, str] = {}
    name = ""
    for line in block.splitlines():
        if line.startswith("#"):
            continue
        if line[:1].isspace() and name:
            fields[name] += "\n" + line
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields
