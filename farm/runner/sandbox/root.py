# SPDX-License-Identifier: GPL-3.0-or-later
"""The root of a job, made by the job's own pid 1 inside its new, still private mount namespace.

All that is put on top of the overlay is mounted after the root was changed, so that no link in a layer can lead
a mount out of the root. What comes from the host is reached through directories opened before.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from farm.runner.sandbox import syscalls
from farm.runner.sandbox.request import UPPER, WORK, Request
from farm.runner.sandbox.syscalls import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    mount,
)

_INERT = MS_NOSUID | MS_NODEV | MS_NOEXEC
_OPTIONS = "userxattr,index=off,metacopy=off,volatile"
_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_MASKED = frozenset(
    ("acpi", "asound", "kcore", "keys", "latency_stats", "sched_debug", "scsi", "timer_list", "timer_stats")
)
"""Of /proc; the list is Docker's."""

_DEV_FOLDERS = {
    "devpts": ("pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
    "mqueue": ("mqueue", _INERT, ""),
    "tmpfs": ("shm", _INERT, "mode=1777"),
}
"""File system type to folder in /dev, flags and options."""

_FOLLOWED = frozenset(("self", "thread-self", "net", "mounts"))


def enter_root(request: Request) -> None:
    """Makes the root and makes it this process's ``/``; nothing of the host stays mounted. Raises OSError."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    os.chdir(request.scratch)
    sources = [syscalls.open_tree(source) for source, _, _ in request.binds]
    _mount_overlay(request.lowers)
    host = os.open("/", os.O_PATH | os.O_DIRECTORY)
    os.chdir(request.scratch)
    syscalls.pivot_root(".", ".")
    os.chdir("/")
    for name in ("proc", "dev", "sys", "etc"):
        if not stat.S_ISDIR(os.lstat(f"/{name}").st_mode):
            raise NotADirectoryError(20, f"/{name} of the root is not a directory")
    mount("proc", "/proc", "proc", _INERT)
    _mount_own(request, host)
    mount_dev(request.shared_memory)
    hide_proc()
    mount("sysfs", "/sys", "tmpfs", _INERT | MS_RDONLY, "size=0,mode=555")
    os.fchdir(host)
    syscalls.umount(".", syscalls.MNT_DETACH)
    os.chdir("/")
    os.close(host)
    for source, (_, target, read_only) in zip(sources, request.binds, strict=True):
        _bind(source, target, read_only)


def enter_host(request: Request) -> None:
    """Mounts the root at its place on the host, for this process and its children alone. Raises OSError."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    with contextlib.suppress(OSError):  # a container may forbid it: then programs see the processes of others
        mount("proc", "/proc", "proc", _INERT)
    os.chdir(request.scratch)
    _mount_overlay(request.lowers, request.on_host)


def _mount_overlay(lowers: int, where: str = ".") -> None:
    """By short links, so that hundreds of layers fit into the page that the kernel reads options from."""
    below = ":".join(map(str, reversed(range(lowers))))
    options = f"lowerdir={below},upperdir={UPPER},workdir={WORK},{_OPTIONS}"
    mount("overlay", where, "overlay", MS_NODEV, options)


def _bind(source: int, target: str, read_only: bool) -> None:
    """Places a folder of the host. Only after the host was unmounted: until then a link to ``/..`` leads there."""
    folder = ""
    for name in filter(None, target.split("/")):
        folder += f"/{name}"
        with contextlib.suppress(FileExistsError):
            Path(folder).mkdir(0o755)
    syscalls.move_mount(source, target)
    kept = os.statvfs(target).f_flag & (MS_NOEXEC | MS_RDONLY)
    flags = MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV | kept | (MS_RDONLY if read_only else 0)
    mount(None, target, None, flags)
    os.close(source)


def hide_proc() -> None:
    """Masks what tells of the host, and makes the rest that does not belong to a process read-only."""
    for name in [entry.name for entry in os.scandir("/proc")]:
        if name.isdigit() or name in _FOLLOWED:
            continue
        path = f"/proc/{name}"
        mode = os.lstat(path).st_mode
        if name in _MASKED and stat.S_ISDIR(mode):
            mount("tmpfs", path, "tmpfs", _INERT | MS_RDONLY, "size=0")
        elif name in _MASKED:
            mount("/dev/null", path, None, MS_BIND)
        elif stat.S_ISDIR(mode) or mode & 0o222:
            mount(path, path, None, MS_BIND | MS_REC)
            mount(None, path, None, MS_BIND | MS_REMOUNT | MS_RDONLY | _INERT)


def _mount_own(request: Request, host: int) -> None:
    """What the farm itself puts into the root, on a file system that /dev covers: processes reach only the binds.

    Leaves this process in the folder where the device nodes lie: the host's, where none can be made.
    """
    mount("farm", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=256k,mode=755")
    os.chdir("/dev")
    for name, text in request.etc.items():
        Path(name).write_text(text)
        Path(name).chmod(0o644)
        if Path(f"/etc/{name}").is_file():
            mount(name, f"/etc/{name}", None, MS_BIND)
    if request.rootless:
        os.fchdir(host)
        os.chdir("dev")
    else:
        _make_nodes()


def mount_dev(shared_memory: int | None = None) -> None:
    """A private /dev; the nodes are bound from this process's folder, others that are made in it are inert.

    ``shared_memory``: bytes of /dev/shm, None: the kernel's default.
    """
    mount("dev", "/dev", "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,mode=755")
    for name in _DEVICES:
        os.close(os.open(f"/dev/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
        mount(name, f"/dev/{name}", None, MS_BIND)
    for name, target in _LINKS.items():
        Path(f"/dev/{name}").symlink_to(target)
    size = f",size={shared_memory}" if shared_memory else ""
    for kind, (name, flags, options) in _DEV_FOLDERS.items():
        Path(f"/dev/{name}").mkdir()
        mount(name, f"/dev/{name}", kind, flags, options + (size if name == "shm" else ""))


def _make_nodes() -> None:
    for name, (major, minor) in _DEVICES.items():
        os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        Path(name).chmod(0o666)
