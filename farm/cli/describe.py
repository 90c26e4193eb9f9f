# SPDX-License-Identifier: GPL-3.0-or-later
"""``NAME-CATEGORY-VERSION.metadata.yaml`` beside each package that a run puts into its destination."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from farm.cli.deliver import Delivered
from farm.spec.model import Package, Tree
from farm.spec.problem import FarmError
from farm.spec.whole import write_whole
from farm.wagon.contents import compilespec_of, definition_of, metadata_of
from farm.wagon.metadata import SUFFIX, Metadata, read_metadata


def describe(packages: Sequence[Delivered], tree: Tree, platform: str = "") -> None:
    """Writes what a wagon has to know of each package. The tarball is read only when it is not described yet.

    ``platform``: what they are for, if that is to be told.
    """
    known = {str(id): package for id, package in tree.packages.items()}
    for delivered in packages:
        package = known[delivered.package]
        file = delivered.file.with_name(f"{package.id.fingerprint}{SUFFIX}")
        metadata = _renewed(file, package, delivered) or metadata_of(package, delivered.file, delivered.sha256)
        write_whole(file, _told(metadata, platform).to_yaml())


def _told(metadata: Metadata, platform: str) -> Metadata:
    """The metadata with the platform, before the lists that can be long."""
    lists = ("modes", "digests", "beside")
    farm = {key: value for key, value in metadata.farm.items() if key not in (*lists, "platform")}
    farm |= {"platform": platform} if platform else {}
    farm |= {key: value for key, value in metadata.farm.items() if key in lists}
    return dataclasses.replace(metadata, farm=farm)


def _renewed(file: Path, package: Package, delivered: Delivered) -> Metadata | None:
    """What is written of the same tarball, with today's definition. None when it has to be read."""
    try:
        old = read_metadata(file) if file.exists() else None
    except FarmError:
        return None
    if old is None or old.sha256 != delivered.sha256 or "installed_size" not in old.farm:
        return None
    name = delivered.file.name
    return dataclasses.replace(old, path=name, runtime=definition_of(package), compilespec=compilespec_of(package))
