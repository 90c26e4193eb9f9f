# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes out of a started container what a job must not see, then lets its commands begin.

Run as a program of its own, because a process with threads cannot enter a mount namespace::

    settle.py PID GO SHARE [PATH…]

The engine's own /etc/hosts and so on give way to the farm's, which lie in ``SHARE/etc`` and are bound in only
where the root has such files. Each ``PATH``, deepest first, is something that the engine made in the upper
directory to mount on; it is removed. The shared folder ``SHARE`` is unmounted, and /sys covered, which
tells of the host. Then writing to the FIFO ``GO`` starts the commands.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import sys
import time
from pathlib import Path

CLONE_NEWNS = 0x00020000
MNT_DETACH = 0x2
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND = 0x1, 0x2, 0x4, 0x8, 0x1000
_INERT = MS_NOSUID | MS_NODEV | MS_NOEXEC

_libc = ctypes.CDLL(None, use_errno=True)


def enter(namespace: int) -> None:
    """Moves this process into the mount namespace behind a file descriptor."""
    _checked(_libc.setns(namespace, CLONE_NEWNS), "setns")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """The mount call; OSError."""
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    result = _libc.mount(*texts, ctypes.c_ulong(flags), ctypes.c_char_p(options.encode()))
    _checked(result, f"mount {target}")


def unmount(path: str) -> None:
    """Unmounts ``path``; nothing mounted there is fine."""
    if _libc.umount2(os.fsencode(path), MNT_DETACH) != 0 and ctypes.get_errno() not in (errno.EINVAL, errno.ENOENT):
        raise OSError(ctypes.get_errno(), f"umount {path}")


def remove(path: str) -> None:
    """Removes a file, or a folder that is empty and no mount point; else does nothing."""
    with contextlib.suppress(OSError):
        if stat.S_ISDIR(os.lstat(path).st_mode):
            Path(path).rmdir()
        else:
            Path(path).unlink()


def wait_for_reader(fifo: str, pid: int) -> int:
    """Opens ``fifo`` for writing once process ``pid`` reads it. OSError (ESRCH) when the process ends before."""
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as problem:
            if problem.errno != errno.ENXIO:
                raise
        os.kill(pid, 0)
        time.sleep(0.002)


def replace_etc(share: str, made: list[str]) -> None:
    """Puts the farm's files of /etc, on a file system that cannot be reached otherwise, in place of the engine's."""
    texts = {path.name: path.read_bytes() for path in Path(share, "etc").iterdir()}
    for name in texts:
        unmount(f"/etc/{name}")
    for path in made:
        remove(path)
    unmount(share)
    mount("farm", share, "tmpfs", _INERT, "size=256k,mode=755")
    for name, text in texts.items():
        own = Path(share, name)
        own.write_bytes(text)
        own.chmod(0o644)
        if Path("/etc", name).is_file():
            mount(str(own), f"/etc/{name}", None, MS_BIND)
    unmount(share)
    remove(share)


def main(pid: int, go: str, share: str, made: list[str]) -> None:
    """Tidies up the container whose first process is ``pid``, and starts its commands."""
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
    start = wait_for_reader(go, pid)
    enter(namespace)
    replace_etc(share, made)
    mount("sysfs", "/sys", "tmpfs", _INERT | MS_RDONLY, "size=0,mode=555")
    os.write(start, b"go\n")


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:])
