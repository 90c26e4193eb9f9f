# SPDX-License-Identifier: GPL-3.0-or-later
"""The wagon that a guest installs from: made of what was built for its board, and served while the guest runs."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from farm.cli.session import Session

if TYPE_CHECKING:
    from farm.image.model import Board
    from farm.plan.node import Plan, Result


@contextlib.contextmanager
def served(board: Board, plan: Plan, made: Mapping[str, Result], session: Session, scratch: Path) -> Iterator[int]:
    """The port of the loopback interface at which the wagon is; 0 when the board's guest installs nothing."""
    from farm.image.graph import install_nodes
    from farm.wagon.serve import WagonServer

    nodes = [node for node in install_nodes(plan, board) if node in made]
    if not nodes:
        yield 0
        return
    with WagonServer(_made(board, plan, {node: made[node] for node in nodes}, session, scratch)) as server:
        thread = threading.Thread(target=server.serve_forever, name="boot-test-wagon", daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.stop()
            thread.join()


def _made(board: Board, plan: Plan, made: Mapping[str, Result], session: Session, scratch: Path) -> Path:
    """The wagon's folder."""
    from farm.plan.job import Pack
    from farm.plan.recipe import tarball_name
    from farm.wagon.create import Request, create_wagon

    packages, wagon = scratch / "packages", scratch / "wagon"
    packages.mkdir()
    names = {str(package): package.fingerprint for package in session.tree.packages}
    for node, result in made.items():
        action = plan.nodes[node].action
        if isinstance(action, Pack) and result.package:
            name = tarball_name(names[plan.nodes[node].package or ""], action.compression)
            shutil.copyfile(session.store.blob_path(result.package), packages / name)
    urls = ("http://10.0.2.2/",)
    create_wagon(Request(session.tree, packages, wagon, name="boot-test", urls=urls, platform=board.platform))
    return wagon
