# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain data that satisfies the schemas, made into packages and builds."""

from __future__ import annotations

import posixpath
import urllib.parse
from collections.abc import Sequence
from typing import Any

from farm.spec.model import Build, CopyFrom, Package, PackageId, Requirement, Resources, Source, SpecFile
from farm.spec.problem import Place
from farm.spec.quantity import parse_duration, parse_size

Data = dict[str, Any]


def make_id(data: Data) -> PackageId:
    """The identity in a definition."""
    return PackageId(data["category"], data["name"], data["version"])


def make_package(
    data: Data,
    *,
    build: Data | None = None,
    finalizer: Data | None = None,
    files: tuple[SpecFile, ...] = (),
    folder: str = "",
    place: Place,
    entry: int = -1,
) -> Package:
    """The package of a definition, a rendered build.yaml and a rendered finalize.yaml (None: there is none)."""
    get = data.get
    return Package(
        make_id(data),
        _requirements(get("requires")),
        _requirements(get("conflicts")),
        _requirements(get("provides")),
        tuple(get("use_flags") or ()),
        bool(get("hidden")),
        get("annotations") or {},
        {key: value or "" for key, value in (get("labels") or {}).items()},
        get("description") or "",
        tuple(get("uri") or ()),
        get("license") or "",
        make_build(build) if build is not None else None,
        files,
        folder,
        place,
        data,
        finalizer,
        entry,
    )


def make_build(data: Data) -> Build:
    """The build of a rendered build.yaml."""
    get = data.get
    return Build(
        get("image") or "",
        _requirements(get("requires")),
        _requirements(get("conflicts")),
        _requirements(get("provides")),
        tuple(get("prelude") or ()),
        tuple(get("steps") or ()),
        tuple(get("env") or ()),
        get("package_dir") or "",
        bool(get("unpack")),
        tuple(get("includes") or ()),
        tuple(get("excludes") or ()),
        tuple(get("retrieve") or ()),
        tuple(map(_copy, get("copy") or ())),
        bool(get("requires_final_images")),
        tuple(map(make_source, get("sources") or ())),
        get("network"),
        _resources(get("resources")),
        tuple(get("platforms") or ()),
        bool(get("cross")),
        get("accelerate") is not False,
    )


def make_source(data: Data) -> Source:
    """One of a build's sources. An empty ``rename`` becomes the last part of the URL's path."""
    to, strip = unpack_folder(data.get("unpack"))
    rename = data.get("rename") or last_part(data["url"])
    mirrors, platforms = (tuple(data.get(key) or ()) for key in ("mirrors", "platforms"))
    return Source(data["url"], data["sha256"].lower(), mirrors, to, strip, rename, platforms)


def unpack_folder(unpack: bool | str | Data | None) -> tuple[str | None, int]:
    """The normalised folder (None: not unpacked) and the number of leading path parts to strip."""
    strip = 0
    if isinstance(unpack, dict):
        strip = int(unpack.get("strip") or 0)
        unpack = unpack.get("to") or True
    if not unpack:
        return None, 0
    return ("." if unpack is True else posixpath.normpath(unpack)), strip


def last_part(url: str) -> str:
    """The file name in a URL, without query; may be empty."""
    path = url.partition(":")[2] if url.startswith("apt:") else urllib.parse.urlsplit(url).path
    return urllib.parse.unquote(path.rpartition("/")[2])


def _requirements(data: Sequence[Data] | None) -> tuple[Requirement, ...]:
    if not data:
        return ()
    return tuple([Requirement(item["category"], item["name"], item.get("version") or "") for item in data])


def _copy(data: Data) -> CopyFrom:
    package = data.get("package")
    (required,) = _requirements([package]) if package else (None,)
    return CopyFrom(required, data.get("image") or "", data["source"], data["destination"])


_NO_RESOURCES = Resources()
_TIMES = ("timeout", "silent-timeout", "time")


def _resources(data: Data | None) -> Resources:
    if not data:
        return _NO_RESOURCES
    cores = data.get("cores")
    return Resources(
        None if cores is None else int(cores),
        *(None if data.get(key) is None else parse_size(data[key]) for key in ("memory", "disk")),
        *(None if data.get(key) is None else parse_duration(data[key]) for key in _TIMES),
    )
