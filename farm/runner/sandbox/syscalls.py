# SPDX-License-Identifier: GPL-3.0-or-later
"""The system calls that Python does not offer. All raise OSError with the call's name and arguments."""

from __future__ import annotations

import ctypes
import os

from farm.runner.sandbox import abi

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

_SIGCHLD = 17
_AT_FDCWD = -100
_AT_SYMLINK_NOFOLLOW = 0x100
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 4
# PyDLL keeps the interpreter's lock: after a raw clone the child must find itself holding it.
_libc = ctypes.PyDLL(None, use_errno=True)
_LONG = ctypes.c_long


def _checked(result: int, call: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


def _text(value: str | None) -> bytes | None:
    return None if value is None else os.fsencode(value)


def clone(flags: int) -> int:
    """Like fork, into new namespaces: the child's pid, 0 in the child. Only for single-threaded processes."""
    own = abi.abis()
    if not own:
        raise OSError(38, f"clone: unknown architecture {os.uname().machine}")
    arguments = [_LONG(n) for n in (own[0].clone, flags | _SIGCHLD, 0, 0, 0, 0)]
    return _checked(_libc.syscall(*arguments), f"clone(0x{flags:x})")


def unshare(flags: int) -> None:
    """Moves this process into new namespaces."""
    _checked(_libc.unshare(flags), f"unshare(0x{flags:x})")


def mount(source: str | None, target: str, kind: str | None, flags: int = 0, options: str | None = None) -> None:
    """Mounts ``source`` on ``target``; ``options`` is the file system's own option string."""
    result = _libc.mount(_text(source), _text(target), _text(kind), ctypes.c_ulong(flags), _text(options))
    _checked(result, f"mount({source}, {target}, {kind}, 0x{flags:x}, {(options or '')[:200]})")


def umount(target: str, flags: int = 0) -> None:
    """Unmounts what is on ``target``."""
    _checked(_libc.umount2(_text(target), flags), f"umount({target})")


def open_tree(path: str) -> int:
    """A descriptor of a new mount, not yet placed, of folder ``path`` without the mounts below it."""
    arguments = (_LONG(_AT_FDCWD), _text(path), _LONG(_OPEN_TREE_CLONE | os.O_CLOEXEC | _AT_SYMLINK_NOFOLLOW))
    return _checked(_libc.syscall(_LONG(abi.OPEN_TREE), *arguments), f"open_tree({path})")


def move_mount(tree: int, target: str) -> None:
    """Places what `open_tree` gave on ``target``."""
    arguments = (_LONG(tree), b"", _LONG(_AT_FDCWD), _text(target), _LONG(_MOVE_MOUNT_F_EMPTY_PATH))
    _checked(_libc.syscall(_LONG(abi.MOVE_MOUNT), *arguments), f"move_mount({target})")


def pivot_root(new: str, old: str) -> None:
    """Makes mount ``new`` the root of this mount namespace and puts the old one at ``old``."""
    call = _LONG(abi.abis()[0].pivot_root)
    _checked(_libc.syscall(call, _text(new), _text(old)), f"pivot_root({new}, {old})")


def prctl(option: int, *arguments: int) -> int:
    """The prctl call with integers."""
    padded = [*arguments, 0, 0, 0, 0][:4]
    return _checked(_libc.prctl(option, *(ctypes.c_ulong(n) for n in padded)), f"prctl({option}, {arguments})")


def set_seccomp(program: bytes) -> None:
    """Installs a filter (an array of struct sock_filter) for this process and all its children."""

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]

    filtered = Program(len(program) // 8, program)
    mode_filter = ctypes.c_ulong(2)
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(PR_SET_SECCOMP, mode_filter, ctypes.byref(filtered), zero, zero), "seccomp")


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Sets this process's capabilities, each a mask of 64 bits (version 3 of the call's structures)."""
    low, high = 0xFFFFFFFF, 32
    words = [mask >> shift & low for shift in (0, high) for mask in (effective, permitted, inheritable)]
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)(*words)), "capset")


def close_from(first: int) -> None:
    """Closes every file descriptor from ``first`` on."""
    if _libc.syscall(_LONG(abi.CLOSE_RANGE), _LONG(first), _LONG(0xFFFFFFFF), _LONG(0)) < 0:
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def scope_abstract_sockets() -> bool:
    """Keeps this process and its children from abstract sockets of others (Landlock, Linux 6.12). False: cannot."""
    null, none, version = ctypes.c_void_p(None), _LONG(0), _LONG(1)
    if _libc.syscall(_LONG(abi.LANDLOCK_CREATE_RULESET), null, none, version) < 6:
        return False
    attributes = (ctypes.c_uint64 * 3)(0, 0, 1)
    size = _LONG(ctypes.sizeof(attributes))
    ruleset = _libc.syscall(_LONG(abi.LANDLOCK_CREATE_RULESET), attributes, size, none)
    _checked(ruleset, "landlock_create_ruleset")
    _checked(_libc.syscall(_LONG(abi.LANDLOCK_RESTRICT_SELF), _LONG(ruleset), none), "landlock_restrict_self")
    os.close(ruleset)
    return True
