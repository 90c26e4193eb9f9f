# SPDX-License-Identifier: GPL-3.0-or-later
"""Artefacts out of an atom's ``assets`` and ``tarball``, the same for all generators."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from farm.kit.autogen.engines import render_text
from farm.kit.autogen.model import Asset, Atom
from farm.kit.autogen.regexes import matches
from farm.kit.autogen.values import Artefact
from farm.spec.problem import FarmError, error


@dataclasses.dataclass(frozen=True, slots=True)
class Offered:
    """A file that a release has."""

    name: str
    url: str
    hashes: Mapping[str, str] = dataclasses.field(default_factory=dict)


def chosen_assets(atom: Atom, values: Mapping[str, Any], offered: Sequence[Offered] | None) -> list[Artefact]:
    """Each asset at its ``url``, else the first of ``offered`` (None: there is no list) that its ``matcher`` admits.

    FarmError ``asset-not-found``.
    """
    return [_chosen(atom, asset, values, offered) for asset in atom.assets]


def _chosen(atom: Atom, asset: Asset, values: Mapping[str, Any], offered: Sequence[Offered] | None) -> Artefact:
    name = render_text(asset.name, values, "asset.name")
    if asset.url:
        url = render_text(asset.url, values, "asset.url")
        return Artefact((url,), name or file_name(url), asset.use, local=asset.local)
    if offered is None:
        raise _not_found(atom, f"asset {asset.name!r} has no url, and only a release has files to match", offered)
    matcher = render_text(asset.matcher, values, "asset.matcher")
    for file in offered:
        if matches(matcher, file.name):
            return Artefact((file.url,), name or file.name, asset.use, file.hashes)
    raise _not_found(atom, f"no file of the release matches {matcher!r}", offered)


def addressed_assets(atom: Atom, values: Mapping[str, Any], base: str = "") -> list[Artefact]:
    """Each asset at its ``url``, or below its ``prefix``; with ``base``, the prefix is below that.

    FarmError ``asset-not-found`` when it has neither (and there is no ``base``).
    """
    found = []
    for asset in atom.assets:
        name = render_text(asset.name, values, "asset.name")
        prefix = render_text(asset.prefix, values, "asset.prefix")
        if base and not asset.url:
            url = f"{base.rstrip('/')}/{prefix}{name}"
        elif prefix and not base:
            url = f"{prefix.rstrip('/')}/{name}"
        elif asset.url:
            url = render_text(asset.url, values, "asset.url")
        else:
            raise _not_found(atom, f"asset {asset.name!r} has neither url nor prefix", None)
        found.append(Artefact((url,), name or file_name(url), asset.use, local=asset.local))
    return found


def tarball_name(atom: Atom, values: Mapping[str, Any], default: str) -> str:
    """``tarball``, rendered; else ``default``."""
    return render_text(atom.tarball, values, "tarball") if atom.tarball else default


def file_name(url: str) -> str:
    """The last part of an address's path."""
    return url.partition("?")[0].partition("#")[0].rstrip("/").rpartition("/")[2]


def _not_found(atom: Atom, message: str, offered: Iterable[Offered] | None) -> FarmError:
    names = ", ".join(file.name for file in offered or ())
    hint = f"the release has: {names[:500]}" if names else "give the asset a url:"
    return error("asset-not-found", f"{atom.name}: {message}", place=atom.place, hint=hint)
