# SPDX-License-Identifier: GPL-3.0-or-later
"""From what an ebuild's SRC_URI says to addresses: ``mirror://``, thirdpartymirrors, and fallback mirrors."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from urllib.parse import quote

from farm.kit.distfiles.layout import FLAT, Layout, parse_layout, parse_layout_conf
from farm.kit.model import Mirror


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One file of a SRC_URI: its name, and its addresses as written."""

    name: str
    uris: tuple[str, ...]


def layouts_of(mirror: Mirror) -> tuple[Layout, ...]:
    """How a mirror says that its files lie; empty when its layout.conf has to be asked. FarmError ``bad-layout``."""
    return tuple(
        parse_layout(f"{mode.type} {mode.hash or 'SHA512'} {mode.hash_mode or '8:8:8'}")
        if mode.type != "flat"
        else FLAT
        for mode in mirror.modes
    )


def parse_thirdpartymirrors(text: str) -> list[Mirror]:
    """``profiles/thirdpartymirrors``: an alias and its addresses on each line (portage(5))."""
    lines = (line.split() for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [Mirror(words[0], tuple(words[1:])) for words in lines if len(words) > 1]


class Addresses:
    """Where distfiles may be. ``fetch_text`` reads a small file of a mirror, "" when it is not there."""

    def __init__(
        self,
        thirdparty: Sequence[Mirror] = (),
        fallback: Sequence[Mirror] = (),
        fetch_text: Callable[[str], str] = lambda _url: "",
    ) -> None:
        self._thirdparty: dict[str, list[Mirror]] = {}
        for mirror in thirdparty:
            self._thirdparty.setdefault(mirror.alias, []).append(mirror)
        self._fallback = tuple(fallback)
        self._fetch_text = fetch_text
        self._confs: dict[str, list[Layout]] = {}

    def of(self, source: Source, hashes: Mapping[str, str]) -> tuple[str, ...]:
        """All addresses of a file: upstream's, those of its mirrors, then the fallback mirrors'."""
        found = [url for uri in source.uris for url in self._expanded(uri, source.name, hashes)]
        for mirror in self._fallback:
            found += [url for base in mirror.uris for url in self._placed(mirror, base, source.name, hashes)]
        return tuple(dict.fromkeys(found))

    def _expanded(self, uri: str, name: str, hashes: Mapping[str, str]) -> Iterator[str]:
        """``mirror://ALIAS/PATH``: PATH below each base, or, where the mirror has layouts, the file by its layout."""
        match = re.fullmatch(r"mirror://([^/]+)/(.*)", uri)
        if match is None:
            yield uri
            return
        for mirror in self._thirdparty.get(match[1], ()):
            for base in mirror.uris:
                if any(layout != FLAT for layout in layouts_of(mirror)):
                    yield from self._placed(mirror, base, name, hashes)
                else:
                    yield f"{base.rstrip('/')}/{match[2]}"

    def _placed(self, mirror: Mirror, base: str, name: str, hashes: Mapping[str, str]) -> Iterator[str]:
        base = base.rstrip("/")
        for layout in layouts_of(mirror) or self._conf(base):
            if path := layout.path(name, hashes):
                yield f"{base}/{quote(path)}"

    def _conf(self, base: str) -> list[Layout]:
        if base not in self._confs:
            self._confs[base] = parse_layout_conf(self._fetch_text(f"{base}/layout.conf"))
        return self._confs[base]
