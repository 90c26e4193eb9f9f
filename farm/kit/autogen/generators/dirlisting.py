# SPDX-License-Identifier: GPL-3.0-or-later
"""builtin-dirlisting: the links of an HTML page, such as a web server makes of a folder."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from farm.kit.autogen.engines import render_text
from farm.kit.autogen.generators.assets import addressed_assets, file_name, tarball_name
from farm.kit.autogen.generators.protocol import Choice, Found, Surroundings
from farm.kit.autogen.model import Atom
from farm.kit.autogen.regexes import matches
from farm.kit.autogen.values import Artefact, Values
from farm.spec.problem import error

_PAGES = (".html", ".htm", ".php", ".xhtml", ".asp", ".cgi")


class DirectoryListing:
    """Tarballs in a folder of a web server. A version is a link's last part, until transforms make one of it."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.around = surroundings

    def process(self, atom: Atom) -> Found:
        """The links that ``matcher`` admits and ``exclude`` does not. FarmError ``missing-key``, or the request's."""
        if not atom.listing.url or not atom.listing.matcher:
            missing = "url" if not atom.listing.url else "matcher"
            raise error(
                "missing-key", f"{atom.name} has no dir.{missing}", place=atom.place, hint=f"add {missing}: to dir"
            )
        values = {**atom.vars, "pn": atom.name}
        url = render_text(atom.listing.url, values, "dir.url")
        matcher = render_text(atom.listing.matcher, values, "dir.matcher")
        exclude = render_text(atom.listing.exclude, values, "dir.exclude")
        document = self.around.web.get(url, user_agent=atom.user_agent)
        page = _Links(_folder(document.url))
        page.feed(document.text())
        links: dict[str, str] = {}
        for written, address in page.found:
            if _admits(matcher, exclude, written) and urlsplit(address).scheme in ("http", "https"):
                links.setdefault(file_name(written), address)
        return Found({"url": url, "links": links}, list(links), links)

    def artefacts(self, atom: Atom, found: Found, choice: Choice) -> tuple[Values, list[Artefact]]:
        """The assets, below the page's address; else what the link leads to."""
        if atom.assets:
            return {"links": None}, addressed_assets(atom, choice.values, choice.values["url"])
        link = found.details.get(choice.original)
        if link is None:
            raise error(
                "no-tarball", f"{atom.name}: no link of the page is named {choice.original!r}", place=atom.place
            )
        return {"links": None}, [Artefact((link,), tarball_name(atom, choice.values, file_name(link)))]


class _Links(HTMLParser):
    """Collects the ``href`` of each ``a``: as written, and as an address."""

    def __init__(self, base: str) -> None:
        super().__init__(convert_charrefs=True)
        self.base = base
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get("href")
        if not address:
            return
        try:
            joined = urljoin(self.base, address)
        except ValueError:
            return
        if tag == "base":
            self.base = joined
        elif tag == "a":
            self.found.append((address, joined))


def _folder(url: str) -> str:
    """The address that links are relative to: what is no page is a folder, also without a slash at its end."""
    plain = url.partition("?")[0].partition("#")[0]
    return plain if plain.endswith(("/", *_PAGES)) else plain + "/"


def _admits(matcher: str, exclude: str, link: str) -> bool:
    excluded = bool(exclude) and matches(exclude, link)
    return not excluded and matches(matcher, link)
