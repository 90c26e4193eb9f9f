# SPDX-License-Identifier: GPL-3.0-or-later
"""A root of packages of wagons as a node of the graph. The command line hands its maker to the engine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from farm.plan.job import Work
from farm.plan.node import Result
from farm.spec.problem import error

if TYPE_CHECKING:
    from farm.client.progress import Progress
    from farm.store.store import Store

_INDEX = "repository.yaml"
_MOST = 64 << 20


class WagonRoot:
    """Installs packages into an empty root."""

    def identify(self, work: Work) -> Work:
        """The state of each wagon becomes part of the key: after a new revision it is made again."""
        states = [_state(wagon) for wagon in json.loads(work.setting("wagons"))]
        return dataclasses.replace(work, settings=(*work.settings, ("states", " ".join(states))))

    def make(self, work: Work, store: Store, log: Path, cancel: threading.Event) -> Result:
        """FarmError: those of syncing, solving and installing; ``finalizer-failed``.

        The platform only says what is refused: it is no part of the key.
        """
        from farm.client.rootfs import Wanted, fill

        asked = json.loads(work.setting("wanted"))
        wanted = Wanted(
            json.loads(work.setting("wagons")),
            asked["packages"],
            asked["subsets"],
            finalizers=asked["finalizers"],
            key=asked["key"],
            platform=work.setting("platform"),
        )
        with store.scratch("root") as folder, open(log, "a", encoding="utf-8", errors="replace") as out:
            root = folder / "root"
            root.mkdir(mode=0o755)

            def report(progress: Progress) -> None:
                if progress.phase in ("output", "recover"):
                    print(progress.subject, progress.text, file=out, flush=True)

            result, _ = fill(root, wanted, report, cancel)
            if result.failures:
                raise error("finalizer-failed", "; ".join(problem.message for problem in result.failures))
            layer = store.commit_layer(root, (), epoch=int(work.setting("epoch")))
        return Result(layer=layer.digest, size=layer.size)


def _state(wagon: str) -> str:
    """The sha256 of the wagon's index; of a wagon in an image registry, which has none to look at, always another."""
    try:
        if "://" not in wagon:
            return hashlib.sha256((Path(wagon) / _INDEX).read_bytes()).hexdigest()
        if wagon.startswith(("http://", "https://")):
            import requests

            answer = requests.get(f"{wagon.rstrip('/')}/{_INDEX}", timeout=30)
            answer.raise_for_status()
            return hashlib.sha256(answer.content[:_MOST]).hexdigest()
    except OSError as fault:  # requests' errors are OSErrors
        raise error("no-wagon", f"{wagon}: {fault}", transient=True) from fault
    return os.urandom(16).hex()
