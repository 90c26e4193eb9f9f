# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives the real command line on small trees."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import job_roots
import pytest
import release_forge
from anise_build_command import AniseBuild
from bump_site import Site, make_site
from farm_command import Farm
from release_forge import Project, ReleaseForge


@pytest.fixture(scope="session")
def busybox_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root tarball with a shell."""
    return job_roots.busybox_tar(tmp_path_factory.mktemp("roots"))


@pytest.fixture
def farm(tmp_path: Path, busybox_tar: Path) -> Farm:
    """An empty tree whose farm.yaml knows the seed ``box``."""
    return _farm(tmp_path, busybox_tar)


def _farm(folder: Path, root: Path) -> Farm:
    tree = folder / "tree"
    tree.mkdir()
    digest = hashlib.sha256(root.read_bytes()).hexdigest()
    (tree / "farm.yaml").write_text(f"seeds:\n  box: {{url: {root}, sha256: {digest}}}\n")
    return Farm(tree, folder / "store", root)


@pytest.fixture
def forge() -> Iterator[ReleaseForge]:
    """A forge on loopback that has nothing new for a `site`."""
    with release_forge.serving() as made:
        made.projects = {"o/greet": Project(["v0.9", "v1.0"]), "o/one": Project(["0.20201209"])}
        yield made


@pytest.fixture(scope="session")
def published_site(tmp_path_factory: pytest.TempPathFactory, busybox_tar: Path) -> Site:
    """What every `site` is a copy of."""
    folder = tmp_path_factory.mktemp("site")
    return make_site(_farm(folder, busybox_tar), folder)


@pytest.fixture
def site(published_site: Site, tmp_path: Path, forge: ReleaseForge) -> Site:
    """A tree in git whose packages are in a wagon."""
    return published_site.copy(tmp_path, forge.base)


@pytest.fixture
def anise(tmp_path: Path, busybox_tar: Path) -> AniseBuild:
    """A working directory whose farm.yaml knows the image ``alpine``, with a tree ``packages``: a ← b ← c."""
    anise = AniseBuild(tmp_path / "work")
    anise.folder.mkdir()
    digest = hashlib.sha256(busybox_tar.read_bytes()).hexdigest()
    seeds = f"seeds:\n  box: {{url: {busybox_tar}, sha256: {digest}}}\n"
    (anise.folder / "farm.yaml").write_text(f"{seeds}images: {{alpine: box}}\n")
    anise.package("test/a", "image: alpine\nprelude: [echo seed >/seed]\n", "1.2")
    for name, below in (("b", "a"), ("c", "b")):
        requires = f'requires: [{{category: test, name: {below}, version: ">=1.0"}}]\n'
        anise.package(
            f"test/{name}", f"{requires}steps: [echo {{{{ .Values.word | default .Values.name }}}} >/{name}]\n"
        )
    return anise
