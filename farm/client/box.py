# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command of the user's with a root as ``/``, as finalizers run."""

from __future__ import annotations

import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from farm.client.finalizer import entering
from farm.spec.problem import error


def run_box(
    rootfs: Path, argv: Sequence[str], env: Mapping[str, str], mounts: Sequence[str], streams: Collection[str]
) -> int:
    """The exit status of ``argv``. ``mounts`` are folders of the host that it sees; ``streams`` those it is given.

    FarmError ``no-root`` when ``rootfs`` is no folder.
    """
    if not rootfs.is_dir():
        raise error("no-root", f"{rootfs} is no folder")
    given = {name: None if name in streams else subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}
    command = entering(rootfs.absolute(), argv, env, [str(Path(one).absolute()) for one in mounts])
    status = subprocess.run(
        command, env={}, cwd="/", check=False, stdin=given["stdin"], stdout=given["stdout"], stderr=given["stderr"]
    ).returncode
    return status if status >= 0 else 128 - status
