# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of images share: the tools that images are written with, taken out of Debian's packages."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from farm.plan.job import Fetch
from farm.spec.problem import FarmError
from farm.store.fetch import fetch
from farm.store.store import Store

TOOLS = Path(__file__).parents[2] / "specs/boards/tools/image/build.yaml"


@pytest.fixture(scope="session")
def e2fsprogs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the mke2fs, e2fsck and debugfs of the package tools/image: the same debs, the same digests."""
    folder = tmp_path_factory.mktemp("e2fsprogs")
    build = yaml.safe_load(TOOLS.read_text())
    with Store(folder / "store") as store:
        for source in build["sources"]:
            try:
                digest = fetch(Fetch(source["sha256"], (source["url"],)), store, None, threading.Event())
            except FarmError as failure:
                pytest.skip(f"Debian's packages cannot be had here: {failure}")
            subprocess.run(["dpkg-deb", "-x", store.blob_path(digest), folder / "new"], check=True)
    programs = folder / "bin"
    programs.mkdir()
    library = next((folder / "new").rglob("libext2fs.so.2")).parent
    for name in ("mke2fs", "e2fsck", "debugfs"):
        real = next(path for path in (folder / "new").rglob(name) if path.is_file() and "sbin" in path.parts)
        (programs / name).write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={library} exec {real} "$@"\n')
        (programs / name).chmod(0o755)
    yield programs
