# SPDX-License-Identifier: GPL-3.0-or-later
"""``--from-repositories``: the spec trees that the configured wagons publish (``compilertree``)."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from farm.cli.anise_build.flags import config_file, debug
from farm.spec.problem import error

if TYPE_CHECKING:
    from farm.client.config import ClientConfig, RepositoryConfig
    from farm.wagon.repository import RepoFile

KEY = "compilertree"


def trees_of_repositories(context: click.Context, store: Path) -> tuple[Path, ...]:
    """Folders with the trees of all enabled repositories that publish them, as they are now; kept in ``store``.

    FarmError as `farm.client.repositories.sync`, ``wagon-digest-mismatch``, ``unsafe-archive``.
    """
    from farm.client.config import read_config
    from farm.client.repositories import sync
    from farm.runner.rootless import ensure_privileges

    ensure_privileges(sys.argv)
    kept = store / "compilertrees"
    config = dataclasses.replace(read_config(config_file(context)), database_path=kept)
    trees: list[Path] = []
    for repository in config.enabled_repositories:
        file = sync(config, repository).identity.repo_files.get(KEY)
        if file is None:
            debug(context, f"repository {repository.name} publishes no {KEY}")
            continue
        trees += _roots(_unpacked(config, repository, file, kept / file.sha256))
    return tuple(trees)


def _unpacked(config: ClientConfig, repository: RepositoryConfig, file: RepoFile, folder: Path) -> Path:
    from farm.client.transport import bring
    from farm.store.blobs import digest_of
    from farm.store.unpack import unpack

    if folder.is_dir():
        return folder
    work = Path(tempfile.mkdtemp(prefix="new-", dir=folder.parent))
    try:
        archive, tree = work / "archive", work / "tree"
        tree.mkdir()
        bring(config, repository, file.filename, archive, threading.Event(), lambda line: None)
        if digest_of(archive) != file.sha256:
            message = f"{file.filename} of repository {repository.name} is not what its repository.yaml says"
            raise error("wagon-digest-mismatch", message)
        unpack(archive, tree)
        if not folder.is_dir():
            tree.rename(folder)
    finally:
        shutil.rmtree(work)
    return folder


def _roots(folder: Path) -> list[Path]:
    """The Go tool packs the folder around the tree, the farm each tree as a folder: shared templates lie in those."""
    from farm.spec.scan import SPEC_NAMES

    inside = sorted(Path(entry.path) for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    return [folder] if any((folder / name).exists() for name in SPEC_NAMES) else inside
