# SPDX-License-Identifier: GPL-3.0-or-later
"""The farm of an ordinary user: moves itself into a user namespace in which it is root.

The namespace maps root to the user and 1, 2, … to the ranges that /etc/subuid and /etc/subgid give the user, as
podman has it. Only newuidmap and newgidmap (set-uid; package uidmap) may write such maps: a helper
process that stays outside calls them. Formats: subuid(5), user_namespaces(7).
"""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from farm.spec.problem import FarmError, error

_MARK = "FARM_ROOTLESS"
_WANTED = 65536
_NEWUSER = 0x10000000
_NEWNS = 0x00020000
_PR_SET_DUMPABLE = 4
_MAPPERS = ("newuidmap", "newgidmap")
_SWITCHES = {
    "/proc/sys/kernel/unprivileged_userns_clone": "0",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
    "/proc/sys/user/max_user_namespaces": "0",
}
"""Files and the content with which they forbid user namespaces (Debian's, Ubuntu's, the kernel's own)."""

Range = tuple[int, int]


def is_rootless() -> bool:
    """Whether this process's root is somebody else outside."""
    words = Path("/proc/self/uid_map").read_text().split()
    return words != ["0", "0", "4294967295"]


def ensure_privileges(argv: Sequence[str]) -> None:
    """Returns when this process is root. Otherwise enters a user namespace and runs ``argv`` anew in it.

    Process id, terminal, working directory and environment stay. To be called before any thread is started.
    FarmError ``no-mappers``, ``no-subordinate-ids``, ``no-user-namespaces``, ``mapping-failed``.
    """
    if os.geteuid() == 0:
        return
    if os.environ.get(_MARK) == str(os.getpid()):
        raise error("mapping-failed", "the farm is not root inside its own user namespace")
    check_rootless()
    _enter_namespace()
    os.environ[_MARK] = str(os.getpid())
    os.execv(sys.executable, [sys.executable, *argv])


def check_rootless() -> None:
    """FarmError when this user cannot have a user namespace with ranges of ids, saying how to mend it."""
    missing = [name for name in _MAPPERS if not shutil.which(name, path=_search_path())]
    if missing:
        names = " and ".join(missing)
        raise error("no-mappers", f"{names} not found", hint="Install the package uidmap (or shadow-utils).")
    for kind in ("subuid", "subgid"):
        if sum(count for _, count in subordinate_ids(kind)) < _WANTED:
            raise _no_ids(kind)
    for path, value in _SWITCHES.items():
        if _content(path) == value:
            raise _forbidden(path)


def subordinate_ids(kind: str) -> list[Range]:
    """This user's ranges (first id, count) in ``/etc/subuid`` or ``/etc/subgid``, as they stand there."""
    names = {_user(), str(os.getuid())}
    fields = [line.split(":") for line in _content(f"/etc/{kind}").splitlines()]
    return [(int(f[1]), int(f[2])) for f in fields if len(f) == 3 and f[0] in names]


def _no_ids(kind: str) -> FarmError:
    flag = "--add-subuids" if kind == "subuid" else "--add-subgids"
    hint = f"As root: usermod {flag} 100000-{100000 + _WANTED - 1} {_user()}"
    return error("no-subordinate-ids", f"/etc/{kind} gives user {_user()} less than {_WANTED} ids", hint=hint)


def _forbidden(path: str) -> FarmError:
    setting = path.removeprefix("/proc/sys/").replace("/", ".")
    value = {"0": "1", "1": "0"}[_SWITCHES[path]] if "max" not in path else "15000"
    hint = f"As root: sysctl {setting}={value}"
    return error("no-user-namespaces", f"{setting} forbids user namespaces on this host", hint=hint)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _content(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _search_path() -> str:
    return os.environ.get("PATH", "") + ":/usr/bin:/usr/sbin:/bin"


def _enter_namespace() -> None:
    """Unshares, and has a child that was forked before write the maps from outside."""
    nested = is_rootless()
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(tell)
        os._exit(_write_maps(os.getppid()) if os.read(told, 1) else 1)
    os.close(told)
    try:
        _unshare()
        os.write(tell, b"m")
    finally:
        os.close(tell)
        _, status = os.waitpid(child, 0)
    if status != 0:
        hint = "See subuid(5)."
        if nested:
            hint = "This is a user namespace already (bubblewrap, a container): start the farm outside of it."
        raise error("mapping-failed", "newuidmap or newgidmap refused the ranges", hint=hint)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _unshare() -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEWUSER | _NEWNS) != 0:
        number = ctypes.get_errno()
        why = "sysctl, seccomp or a security module" if number in (errno.EPERM, errno.ENOSPC) else ""
        raise error("no-user-namespaces", f"cannot make a user namespace: {os.strerror(number)}", hint=why)


def _write_maps(pid: int) -> int:
    """Runs in the child, outside. Root is the user; the ranges follow from 1 on."""
    own = {"newuidmap": os.getuid(), "newgidmap": os.getgid()}
    for tool, kind in zip(_MAPPERS, ("subuid", "subgid"), strict=True):
        arguments = [0, own[tool], 1]
        inside = 1
        for first, count in subordinate_ids(kind):
            arguments += [inside, first, count]
            inside += count
        path = shutil.which(tool, path=_search_path()) or tool
        if subprocess.run([path, str(pid), *map(str, arguments)], check=False).returncode != 0:
            return 1
    return 0
