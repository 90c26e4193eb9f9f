# SPDX-License-Identifier: GPL-3.0-or-later
"""One ebuild's metadata, in the form of ``metadata/md5-cache`` (PMS chapter 14; portage's md5-dict)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping

_USE = re.compile(r"!?[A-Za-z0-9][A-Za-z0-9+_@-]*\?")
_SCHEME = re.compile(r"(?:fetch\+|mirror\+)?([a-z][a-z0-9+.-]*://.+)", re.IGNORECASE)
_FILE = re.compile(r"[^/\s\x00-\x1f]+")


@dataclasses.dataclass(frozen=True, slots=True)
class Metadata:
    """What portage found out. ``keys`` are the cache's (``SLOT``, ``KEYWORDS``, …) without those of eclasses and md5.

    ``eclasses``: name → md5 of all that was inherited, directly or not. ``md5``: of the ebuild.
    """

    keys: Mapping[str, str]
    eclasses: Mapping[str, str]
    md5: str

    @property
    def slot(self) -> str:
        """The slot without its sub-slot."""
        return self.keys.get("SLOT", "0").partition("/")[0]

    @property
    def keywords(self) -> str:
        """KEYWORDS; empty for a version that nobody is to use (a live ebuild)."""
        return self.keys.get("KEYWORDS", "").strip()

    @property
    def distfiles(self) -> Mapping[str, tuple[str, ...]]:
        """Name of every distfile, under whatever USE flag → its URIs in order."""
        found: dict[str, list[str]] = {}
        for name, uri in distfiles_of(self.keys.get("SRC_URI", "")):
            uris = found.setdefault(name, [])
            if uri and uri not in uris:
                uris.append(uri)
        return {name: tuple(uris) for name, uris in found.items()}

    def to_text(self) -> str:
        """The cache file: keys sorted, empty ones left out, as egencache writes it."""
        lines = [f"{key}={value}" for key, value in sorted(self.keys.items()) if value]
        if self.eclasses:
            flat = "\t".join(f"{name}\t{md5}" for name, md5 in sorted(self.eclasses.items()))
            lines.append(f"_eclasses_={flat}")
        return "\n".join([*lines, f"_md5_={self.md5}"]) + "\n"


def parse_metadata(text: str) -> Metadata | None:
    """Reads a cache file; None when it cannot be one (half-written: ``_md5_`` comes last)."""
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    md5 = pairs.pop("_md5_", "")
    words = pairs.pop("_eclasses_", "").split("\t")
    if not re.fullmatch(r"[0-9a-f]{32}", md5) or (words != [""] and len(words) % 2):
        return None
    eclasses = {} if words == [""] else dict(zip(words[::2], words[1::2], strict=True))
    return Metadata(pairs, eclasses, md5)


def distfiles_of(src_uri: str) -> Iterator[tuple[str, str]]:
    """Each file of a SRC_URI with its URI (empty for a bare name), all USE conditions taken to hold."""
    words = [word for word in src_uri.split() if word not in ("(", ")", "||") and not _USE.fullmatch(word)]
    for number, word in enumerate(words):
        if word == "->" or (number and words[number - 1] == "->"):
            continue
        found = _SCHEME.fullmatch(word)
        uri = found[1] if found else ""
        renamed = words[number + 2] if words[number + 1 : number + 2] == ["->"] and number + 2 < len(words) else ""
        name = renamed or word.rsplit("/", 1)[-1]
        if _FILE.fullmatch(name) and name not in (".", ".."):
            yield name, uri
