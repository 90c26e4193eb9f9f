# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this host can run the sandbox, and what is missing when not. Nothing of the host is touched."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from farm.runner.sandbox import abi, init, syscalls
from farm.runner.sandbox.request import UPPER, WORK
from farm.runner.sandbox.start import spawner_command
from farm.spec.problem import FarmError, error

_HINTS = {
    "namespaces": "Run as root or through user namespaces; in a container, give it CAP_SYS_ADMIN.",
    "overlay": "Linux 5.11 or later with overlayfs is needed: modprobe overlay.",
    "proc": "A container that hides parts of /proc does not let a new one be mounted: run the farm outside it.",
}
_TRIES = 3
_KILLED = 9


def probe() -> None:
    """FarmError ``sandbox-unavailable`` with the first thing that does not work here."""
    if not abi.abis():
        raise _unavailable("namespaces", f"architecture {os.uname().machine} is not known")
    code = _tried()
    if code not in range(len(_HINTS) + 1):
        raise error("sandbox-unavailable", "the process that tries out the sandbox was killed, again and again")
    if code != 0:
        step = list(_HINTS)[code - 1]
        raise _unavailable(step, f"the kernel refuses what the sandbox needs ({step})")


def _tried() -> int:
    """The exit code of the trial. One that was killed from outside is made anew, in a folder of its own:

    the kernel does not mount an overlay again that was ``volatile`` and ended without a word.
    """
    for _ in range(_TRIES):
        with tempfile.TemporaryDirectory(prefix="farm-probe") as folder:
            for name in ("0", UPPER, WORK, "root"):
                (Path(folder) / name).mkdir()
            code = subprocess.run(spawner_command("probe", folder), check=False).returncode
        if code in range(len(_HINTS) + 1):
            break
    return code


def _unavailable(step: str, what: str) -> FarmError:
    return error("sandbox-unavailable", what, hint=_HINTS[step])


def try_out(folder: str) -> int:
    """Tries each step in this process, whose mounts end with it: 0, the number of what failed, or 9."""
    step = 1
    try:
        syscalls.unshare(init.NAMESPACES | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWCGROUP)
        syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        step = 2
        os.chdir(folder)
        options = f"lowerdir=0,upperdir={UPPER},workdir={WORK},userxattr,volatile"
        syscalls.mount("overlay", "root", "overlay", syscalls.MS_NODEV, options)
        step = 3
        return _try_proc(folder)
    except OSError:
        return step


def _try_proc(folder: str) -> int:
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            syscalls.mount("proc", f"{folder}/root", "proc")
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return _KILLED if code < 0 else code
