# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives the real command line on small trees."""

from __future__ import annotations

import hashlib
from pathlib import Path

import job_roots
import pytest
from anise_build_command import AniseBuild
from farm_command import Farm


@pytest.fixture(scope="session")
def busybox_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root tarball with a shell."""
    return job_roots.busybox_tar(tmp_path_factory.mktemp("roots"))


@pytest.fixture
def farm(tmp_path: Path, busybox_tar: Path) -> Farm:
    """An empty tree whose farm.yaml knows the seed ``box``."""
    tree = tmp_path / "tree"
    tree.mkdir()
    digest = hashlib.sha256(busybox_tar.read_bytes()).hexdigest()
    (tree / "farm.yaml").write_text(f"seeds:\n  box: {{url: {busybox_tar}, sha256: {digest}}}\n")
    return Farm(tree, tmp_path / "store", busybox_tar)


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
