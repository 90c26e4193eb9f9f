# SPDX-License-Identifier: GPL-3.0-or-later
"""The root of a metro job with an ``anise`` source: what its calls of the ``anise`` program do, done by this client.

In their order (mark-devkit's ``pkg/sourcer/anise.go``): ``repo update``; ``install -y --skip-config-protect`` of the
repositories; ``install --sync-repos -y --skip-config-protect`` of the packages; ``cleanup``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from farm.client.config import ClientConfig, read_config
from farm.client.database import Database
from farm.client.fetch import forget_packages
from farm.client.progress import Progress
from farm.client.repositories import open_catalog, sync
from farm.client.solve import plan_install
from farm.client.transaction.apply import Options, apply
from farm.plan.job import Work
from farm.plan.node import Result
from farm.spec.problem import FarmError
from farm.store.builder import Builder
from farm.store.entry import FILE, chunks, link_up
from farm.store.union import Union

if TYPE_CHECKING:
    from farm.store.store import Store

Say = Callable[[str], None]


class AniseRoot:
    """Installs packages into what hooks made before; the whole root is one layer."""

    def identify(self, work: Work) -> Work:
        """``work`` itself: what repositories offer is looked at in each run."""
        return work

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """FarmError of syncing, solving and installing, and of finalizers that failed."""
        config = Path(work.setting("config")) if work.setting("config") else None
        with store.scratch("anise") as folder, open(log, "a", encoding="utf-8") as out:
            root = folder / "root"
            root.mkdir(mode=0o755)
            _begin(root, [store.layer_path(str(ref)) for ref in work.layers])
            steps = _Steps(config, root, lambda line: print(line, file=out, flush=True), cancel)
            steps.sync()
            steps.install(json.loads(work.setting("repositories")))
            steps.sync()
            steps.install(json.loads(work.setting("packages")))
            forget_packages(steps.config())
            info = store.commit_layer(root, (), epoch=int(work.setting("epoch")))
        return Result(layer=info.digest, size=info.size)


class _Steps:
    """The client on one root. Its configuration is read anew for each step: packages bring files of it."""

    def __init__(self, path: Path | None, root: Path, say: Say, cancel: threading.Event) -> None:
        self._path, self._root, self._say, self._cancel = path, root, say, cancel

    def config(self) -> ClientConfig:
        """What the file says, for this root."""
        flags = {"system_target": str(self._root), "skip_config_protect": True}
        return read_config(self._path, flags, {})

    def sync(self) -> None:
        """``repo update``."""
        config = self.config()
        for repository in config.enabled_repositories:
            found = sync(config, repository, cancel=self._cancel)
            self._say(f"repository {repository.name}: revision {found.identity.revision}, {found.packages} packages")

    def install(self, packages: Sequence[str]) -> None:
        """``install``."""
        if not packages:
            return
        config = self.config()
        with Database(config.database_file) as database:
            change = plan_install(open_catalog(config), database, packages)
            options = Options(durable=False)
            result = apply(change, config, database, options=options, report=self._report, cancel=self._cancel)
        for one in result.installed:
            self._say(f"installed {one.id}")
        for problem in result.warnings:
            self._say(str(problem))
        if result.failures:
            raise FarmError(result.failures)

    def _report(self, progress: Progress) -> None:
        if progress.text:
            self._say(progress.text)


def _begin(root: Path, layers: Sequence[Path]) -> None:
    """Puts what lies below into the root."""
    if not layers:
        return
    builder = Builder(root)
    with Union(layers) as union:
        for entry in link_up(union.walk()):
            builder.add(entry, chunks(entry) if entry.kind == FILE else ())
    builder.finish()
