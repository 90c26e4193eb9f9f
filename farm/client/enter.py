# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one command with another root as ``/``, in namespaces of its own; a process of its own, without threads.

It has no network, a private ``/dev`` and ``/proc`` (where the root has these folders), and Docker's capabilities. As
root, owners can be any (the Go client maps only root). Nothing stays mounted: the mounts end with its last process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
from pathlib import Path

from farm.runner.sandbox import privileges, syscalls
from farm.runner.sandbox.root import hide_proc, mount_dev
from farm.runner.sandbox.syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC, mount

_NAMESPACES = (
    syscalls.CLONE_NEWNS
    | syscalls.CLONE_NEWPID
    | syscalls.CLONE_NEWIPC
    | syscalls.CLONE_NEWUTS
    | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWCGROUP
)
_INERT = MS_NOSUID | MS_NODEV | MS_NOEXEC
_CANNOT, _NOT_FOUND = 126, 127


def main(arguments: list[str]) -> int:
    """The command's exit status, 126 when the root cannot be entered.

    The argument is JSON: ``root``, ``argv``, ``env`` and ``mounts`` (folders of the host that are seen too).
    """
    request = json.loads(arguments[0])
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    try:
        pid = syscalls.clone(_NAMESPACES)
    except OSError as fault:
        return _tell(str(fault))
    if pid == 0:
        code = _CANNOT
        try:
            code = _be_pid_1(request["root"], request["argv"], request["env"], request["mounts"])
        except OSError as fault:
            _tell(str(fault))
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return _exit_code(status)


def _be_pid_1(root: str, argv: list[str], env: dict[str, str], mounts: list[str]) -> int:
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, int(signal.SIGKILL))
    _enter(root, mounts)
    os.umask(0o022)
    privileges.forbid_calls()
    privileges.drop_capabilities(host_network=False)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            os.execvpe(argv[0], argv, env)
        except OSError as fault:
            _tell(f"{argv[0]}: {fault.strerror}")
        finally:
            os._exit(_NOT_FOUND)
    status = _wait_for(pid)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    return _exit_code(status)


def _enter(root: str, mounts: list[str]) -> None:
    """Makes ``root`` this process's ``/``; of the host, only the folders ``mounts`` stay, at their own places."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    os.chdir(root)
    mount(".", ".", None, MS_BIND | MS_REC)
    os.chdir(root)
    for path in mounts:
        _bring(path)
    host = os.open("/", os.O_PATH | os.O_DIRECTORY)
    nodes = os.open("/dev", os.O_PATH | os.O_DIRECTORY)
    syscalls.pivot_root(".", ".")
    os.chdir("/")
    if _is_folder("/proc"):
        mount("proc", "/proc", "proc", _INERT)
    if _is_folder("/dev"):
        os.fchdir(nodes)
        mount_dev()
        if _is_folder("/proc"):
            hide_proc()
    if _is_folder("/sys"):
        mount("sysfs", "/sys", "tmpfs", _INERT | MS_RDONLY, "size=0,mode=555")
    os.fchdir(host)
    syscalls.umount(".", syscalls.MNT_DETACH)
    os.chdir("/")
    os.close(host)
    os.close(nodes)


def _bring(path: str) -> None:
    """Mounts a folder of the host below the working directory; no link of the root may be on the way."""
    target = "."
    for part in filter(None, os.path.normpath(path).split("/")):
        target = f"{target}/{part}"
        if not os.path.lexists(target):
            Path(target).mkdir()
        if not _is_folder(target):
            raise OSError(f"{target} of the root is no folder")
    mount(path, target, None, MS_BIND | MS_REC)


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _wait_for(pid: int) -> int:
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return status


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _tell(text: str) -> int:
    os.write(2, f"farm: {text}\n".encode())
    return _CANNOT
