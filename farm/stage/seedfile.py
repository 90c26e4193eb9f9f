# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``seed`` of a stage file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from farm.spec.problem import FarmError, Place, Problem
from farm.stage.model import (
    ArchiveSeed,
    DebootstrapSeed,
    DockerSeed,
    EmptySeed,
    OciSeed,
    Seed,
    StageSeed,
    WagonSeed,
)

KINDS: Mapping[str, frozenset[str]] = {
    "url": frozenset(("sha256", "signature", "key")),
    "oci": frozenset(("digest",)),
    "docker": frozenset(),
    "debootstrap": frozenset(),
    "stage": frozenset(("quick",)),
    "wagons": frozenset(("packages", "subsets", "key", "finalizers")),
    "empty": frozenset(),
}
"""The key that tells what kind of seed it is, and what it may have beside it."""

Where = Callable[[tuple[str, ...]], Place]


def read_seed(data: Mapping[str, Any], folder: Path, where: Where) -> tuple[Seed, list[Problem]]:
    """The seed as written in a file of ``folder``, and what is wrong with it."""
    kinds = [kind for kind in KINDS if kind in data]
    here = where(("seed",))
    if len(kinds) != 1:
        said = f"it names {' and '.join(kinds)}" if kinds else "it names none"
        hint = f"write exactly one of: {', '.join(KINDS)}"
        return EmptySeed(here), [Problem("bad-seed", f"a seed is of one kind, but {said}", here, hint)]
    kind = kinds[0]
    problems = [
        Problem("bad-seed", f"a seed of kind `{kind}` has no {key!r}", where(("seed", key)), "remove it")
        for key in data
        if key != kind and key not in KINDS[kind]
    ]
    seed = _READERS[kind](data, folder, here)
    problems += _wrong(seed, where)
    return seed, problems


def _wrong(seed: Seed, where: Where) -> list[Problem]:
    problems = []
    if isinstance(seed, ArchiveSeed) and not seed.sha256 and not seed.key:
        hint = "add sha256: as `sha256sum FILE` prints it, or key: with the minisign key that signed it"
        problems.append(Problem("unverified-seed", "nothing says what the seed has to be", seed.place, hint))
    if isinstance(seed, WagonSeed) and not seed.packages:
        problems.append(Problem("missing-key", "a seed of wagons needs packages", seed.place, "add packages:"))
    if isinstance(seed, ArchiveSeed | WagonSeed) and seed.key:
        problems += _bad_key(seed.key, where(("seed", "key")))
    return problems


def _bad_key(text: str, place: Place) -> list[Problem]:
    from farm.store.keys import read_public

    try:
        read_public(text, "key")
    except FarmError as failure:
        hint = "the second line of a .pub file, or what `farm key show NAME` prints"
        return [Problem("bad-key", failure.problems[0].message, place, hint)]
    return []


def _archive(data: Mapping[str, Any], folder: Path, place: Place) -> Seed:
    url, signature = _url(data["url"], folder), data.get("signature", "")
    sha256 = data.get("sha256", "").lower()
    return ArchiveSeed(url, sha256, _url(signature, folder) if signature else "", data.get("key", ""), place)


def _oci(data: Mapping[str, Any], folder: Path, place: Place) -> Seed:
    name, colon, tag = data["oci"].rpartition(":")
    layout, tag = (name, tag) if colon and "/" not in tag else (data["oci"], "latest")
    return OciSeed((folder / layout).absolute(), tag, data.get("digest", "").removeprefix("sha256:"), place)


def _debootstrap(data: Mapping[str, Any], folder: Path, place: Place) -> Seed:
    fields = {key: value for key, value in (data["debootstrap"] or {}).items() if value is not None}
    for key in ("packages", "components"):
        if key in fields:
            fields[key] = tuple(fields[key])
    return DebootstrapSeed(**fields, place=place)


def _wagons(data: Mapping[str, Any], folder: Path, place: Place) -> Seed:
    wagons = tuple(text if "://" in text else str((folder / text).absolute()) for text in data["wagons"])
    subsets = tuple(data.get("subsets") or ())
    finalizers = data.get("finalizers") is not False
    return WagonSeed(wagons, tuple(data.get("packages") or ()), subsets, data.get("key", ""), finalizers, place)


def _url(text: str, folder: Path) -> str:
    """A URL; a path becomes one of a file."""
    if "://" in text or text.startswith("apt:"):
        return text
    return (folder / text).absolute().as_uri()


_READERS: Mapping[str, Callable[[Mapping[str, Any], Path, Place], Seed]] = {
    "url": _archive,
    "oci": _oci,
    "docker": lambda data, folder, place: DockerSeed(data["docker"], place),
    "debootstrap": _debootstrap,
    "stage": lambda data, folder, place: StageSeed(data["stage"], data.get("quick", ""), place),
    "wagons": _wagons,
    "empty": lambda data, folder, place: EmptySeed(place),
}
