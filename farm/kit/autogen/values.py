# SPDX-License-Identifier: GPL-3.0-or-later
"""What a template gets to see, as plain data; and how what comes from outside is made harmless for an ebuild."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from farm.spec.problem import error

Values = dict[str, Any]

_INITIALISMS = frozenset(("api", "html", "http", "id", "sha", "spdx", "ssh", "svn", "url", "urls", "gpl", "md5"))
_WORDS = re.compile(r"[^_]+")
_UNSAFE = re.compile(r"[`\"$\\\x00-\x1f\x7f]+")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[A-Za-z0-9._~:/?#\[\]@!&'()*+,;=%-]+|mirror://[A-Za-z0-9._/+%@~-]+")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@~=,-]*")


@dataclasses.dataclass(frozen=True, slots=True)
class Artefact:
    """A distfile: its addresses, its name, the USE flag it belongs to, and digests that are known beforehand.

    ``local``: it was made here and lies in the download folder; its address is where it will be.
    """

    urls: tuple[str, ...]
    name: str
    use: str = ""
    hashes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    local: bool = False

    def to_values(self) -> dict[str, Any]:
        """As templates see it: Go's names as helm and pongo2 templates write them, YAML's as j2cli's do."""
        urls = list(self.urls)
        go = {"Use": self.use, "SrcUri": urls, "Name": self.name, "Hashes": dict(self.hashes), "Local": self.local}
        return {**go, "use": self.use, "src_uri": urls, "name": self.name, "hashes": dict(self.hashes)}


def checked_artefact(artefact: Artefact) -> Artefact:
    """The artefact itself. FarmError ``bad-url``, ``bad-file-name`` when it could do harm in a path or an ebuild."""
    for url in artefact.urls:
        if not _URL.fullmatch(url):
            raise error("bad-url", f"{url[:200]!r} is no address that can stand in an ebuild")
    if not _FILE.fullmatch(artefact.name) or len(artefact.name) > 250:
        hint = "set tarball: or the asset's name: to letters, digits and . _ + - = , @ ~"
        raise error("bad-file-name", f"{artefact.name[:200]!r} is no name of a distfile", hint=hint)
    return artefact


def plain_text(text: Any) -> str:
    """A text from outside for an ebuild's double quotes: on one line, without what a shell would act on."""
    cleaned = _UNSAFE.sub(lambda match: "" if match[0].strip('`"$\\') == "" else " ", str(text or ""))
    return " ".join(cleaned.split())


def go_names(data: Any) -> Any:
    """Data of a JSON API with every key also as Go's client libraries name it: ``tag_name`` is ``TagName``, too.

    The names in lower case without a line (``tagname``), which YAML made of such objects has, are there as well.
    """
    if isinstance(data, Mapping):
        result: dict[str, Any] = {}
        for key, value in data.items():
            inner = go_names(value)
            for name in (str(key), _go_name(str(key)), str(key).replace("_", "")):
                result.setdefault(name, inner)
        return result
    return [go_names(item) for item in data] if isinstance(data, list) else data


def _go_name(key: str) -> str:
    words = _WORDS.findall(key)
    return "".join(word.upper() if word in _INITIALISMS else word[:1].upper() + word[1:] for word in words)
