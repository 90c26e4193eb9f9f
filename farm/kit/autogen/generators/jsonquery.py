# SPDX-License-Identifier: GPL-3.0-or-later
"""builtin-json: a JSON document of any API, with JSONPath expressions (RFC 9535) that pick from it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from farm.kit.autogen.engines import render_text
from farm.kit.autogen.generators.assets import addressed_assets, file_name, tarball_name
from farm.kit.autogen.generators.protocol import Choice, Found, Surroundings
from farm.kit.autogen.model import Atom
from farm.kit.autogen.regexes import matches
from farm.kit.autogen.values import Artefact, Values
from farm.spec.problem import error


class JsonDocument:
    """Versions out of ``json.version_filter``."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.around = surroundings

    def process(self, atom: Atom) -> Found:
        """Texts and whole numbers that the filter finds; of an object, its keys. FarmError ``bad-jsonpath``, …"""
        query = atom.json
        for key, value in (("url", query.url), ("version_filter", query.version_filter)):
            if not value:
                raise error(
                    "missing-key", f"{atom.name} has no json.{key}", place=atom.place, hint=f"add {key}: to json"
                )
        values = {**atom.vars, "pn": atom.name}
        params = {key: render_text(text, values, f"json.params.{key}") for key, text in sorted(query.params.items())}
        url = render_text(query.url, values, "json.url")
        document = self.around.web.get(
            url, params, method=query.method, accept="application/json", user_agent=atom.user_agent
        )
        body = document.json()
        versions = [version for hit in _find(atom, query.version_filter, body) for version in _versions(atom, hit)]
        kept = [version for version in versions if not (query.exclude and matches(query.exclude, version))]
        return Found({"json_body": body}, list(dict.fromkeys(kept)))

    def artefacts(self, atom: Atom, found: Found, choice: Choice) -> tuple[Values, list[Artefact]]:
        """What ``src_uri_filter`` finds first, then the assets; ``map_filter_vars`` become values."""
        values: Values = {}
        body = found.values["json_body"]
        for name, path in sorted(atom.json.map_filter_vars.items()):
            hits = list(
                _find(atom, render_text(path, {**choice.values, **values}, f"json.map_filter_vars.{name}"), body)
            )
            values[name] = hits[0] if len(hits) == 1 else hits
        seen = {**choice.values, **values}
        artefacts: list[Artefact] = []
        if atom.json.src_uri_filter:
            path = render_text(atom.json.src_uri_filter, seen, "json.src_uri_filter")
            url = next(iter(_find(atom, path, body)), None)
            if not isinstance(url, str):
                message = f"{atom.name}: json.src_uri_filter {path!r} finds no text"
                raise error("no-tarball", message, place=atom.place)
            artefacts.append(Artefact((url,), tarball_name(atom, seen, file_name(url))))
        return values, artefacts + addressed_assets(atom, seen)


def _versions(atom: Atom, hit: Any) -> Iterator[str]:
    if isinstance(hit, dict):
        yield from map(str, hit)
    elif isinstance(hit, str) or (isinstance(hit, int) and not isinstance(hit, bool)):
        yield str(hit)
    else:
        message = f"{atom.name}: json.version_filter finds what is no version: {str(hit)[:80]!r}"
        raise error("bad-version", message, place=atom.place)


def _find(atom: Atom, path: str, body: Any) -> Iterator[Any]:
    try:
        yield from (match.value for match in _compiled(path).find(body))
    except Exception as fault:  # noqa: BLE001  the library raises Exception itself for what it cannot read
        message = f"{atom.name}: bad JSONPath {path!r}: {fault}"
        raise error("bad-jsonpath", message, place=atom.place, hint="docs/autogen.md says what is understood") from None


@functools.lru_cache(maxsize=256)
def _compiled(path: str) -> Any:
    from jsonpath_ng.ext import parse

    return parse(path.replace("&&", "&"))
