# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this host can run the sandbox, and what is missing when not. Nothing of the host is touched."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from farm.runner.sandbox import abi, init, syscalls
from farm.runner.sandbox.request import LOWERS, ROOT, UPPER, WORK
from farm.spec.problem import FarmError, error

_HINTS = {
    "namespaces": "Run as root or through user namespaces; in a container, give it CAP_SYS_ADMIN.",
    "overlay": "Linux 5.11 or later with overlayfs is needed: modprobe overlay.",
    "proc": "A container that hides parts of /proc does not let a new one be mounted: run the farm outside it.",
}


def probe() -> None:
    """FarmError ``sandbox-unavailable`` with the first thing that does not work here."""
    if not abi.abis():
        raise _unavailable("namespaces", f"architecture {os.uname().machine} is not known")
    with tempfile.TemporaryDirectory(prefix="farm-probe") as folder:
        for name in (LOWERS, UPPER, WORK, ROOT):
            (Path(folder) / name).mkdir()
        code = _try_out(folder)
    if code != 0:
        step = list(_HINTS)[min(code, len(_HINTS)) - 1]
        raise _unavailable(step, f"the kernel refuses what the sandbox needs ({step})")


def _unavailable(step: str, what: str) -> FarmError:
    return error("sandbox-unavailable", what, hint=_HINTS[step])


def _try_out(folder: str) -> int:
    """Tries each step in a process of its own, whose mounts end with it: 0, or the number of what failed."""
    pid = os.fork()
    if pid == 0:
        step = 1
        try:
            syscalls.unshare(init.NAMESPACES | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWCGROUP)
            syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
            step = 2
            os.chdir(folder)
            options = f"lowerdir={LOWERS},upperdir={UPPER},workdir={WORK},userxattr,volatile"
            syscalls.mount("overlay", ROOT, "overlay", syscalls.MS_NODEV, options)
            step = 3
            step = _try_proc(folder)
        finally:
            os._exit(step)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _try_proc(folder: str) -> int:
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            syscalls.mount("proc", f"{folder}/{ROOT}", "proc")
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
