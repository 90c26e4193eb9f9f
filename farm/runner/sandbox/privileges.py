# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job's processes may not do: capabilities, system calls and resource limits."""

from __future__ import annotations

import errno
import resource
import struct

from farm.runner.sandbox import syscalls
from farm.runner.sandbox.abi import CLONE3, Abi, abis

_NET_RAW = 13
_DOCKERS = (0, 1, 3, 4, 5, 6, 7, 8, 10, _NET_RAW, 18, 27, 29, 31)
"""Docker's default: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service,
net_raw, sys_chroot, mknod, audit_write, setfcap (numbers of include/uapi/linux/capability.h)."""

_LAST_POSSIBLE = 63
_ALLOW = 0x7FFF0000
_DENY = 0x00050000
_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER_AT, _ABI_AT, _FIRST_ARGUMENT_AT, _SECOND_ARGUMENT_AT = 0, 4, 16, 24
_TERMINAL_INJECTION = (0x5412, 0x541C)
_X32_BIT = 0x40000000

_Line = tuple[int, int, int, int]


def drop_capabilities(*, host_network: bool) -> None:
    """Keeps Docker's default set, without raw sockets where the network is the host's own."""
    kept = [number for number in _DOCKERS if not (host_network and number == _NET_RAW)]
    syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(_LAST_POSSIBLE + 1):
        if number in kept:
            continue
        try:
            syscalls.prctl(syscalls.PR_CAPBSET_DROP, number)
        except OSError as problem:
            if problem.errno == errno.EINVAL:
                break
            raise
    mask = sum(1 << number for number in kept)
    syscalls.capset(mask, mask, 0)


def forbid_calls() -> None:
    """Refuses calls that reach past namespaces: the kernel's key rings, bpf, perf, user namespaces, terminals."""
    if abis():
        syscalls.set_seccomp(filter_program(abis()))


def filter_program(family: tuple[Abi, ...]) -> bytes:
    """The classic BPF program for seccomp: an array of struct sock_filter."""
    lines: list[_Line] = [(_LOAD, 0, 0, _ABI_AT)]
    for one in family:
        block = _rules(one)
        lines += [(_EQUAL, 0, len(block), one.audit), *block]
    lines.append((_RETURN, 0, 0, _DENY | errno.EPERM))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _rules(one: Abi) -> list[_Line]:
    """For one ABI. A job as root shares the key rings of the host's root; clone3 hides its flags in memory."""
    refuse = (_RETURN, 0, 0, _DENY | errno.EPERM)
    allow = (_RETURN, 0, 0, _ALLOW)
    lines: list[_Line] = [
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _DENY | errno.ENOSYS),
        (_EQUAL, 0, 1, CLONE3),
        (_RETURN, 0, 0, _DENY | errno.ENOSYS),
    ]
    for call in (one.add_key, one.request_key, one.keyctl, one.bpf, one.perf_event_open, one.userfaultfd):
        lines += [(_EQUAL, 0, 1, call), refuse]
    for call in (one.clone, one.unshare):
        flags = [(_LOAD, 0, 0, _FIRST_ARGUMENT_AT), (_ANY_BIT, 0, 1, syscalls.CLONE_NEWUSER), refuse, allow]
        lines += [(_EQUAL, 0, len(flags), call), *flags]
    injections = [line for request in _TERMINAL_INJECTION for line in ((_EQUAL, 0, 1, request), refuse)]
    lines += [(_EQUAL, 0, len(injections) + 1, one.ioctl), (_LOAD, 0, 0, _SECOND_ARGUMENT_AT), *injections]
    return [*lines, allow]


def set_limits(memory: int | None, processes: int | None) -> None:
    """Resource limits of a job. ``memory`` (bytes of address space) and ``processes`` stand in for a cgroup.

    The size of a core dump is one byte and not none: only then does the kernel also leave a ``core_pattern``
    alone that is a program on the host (fs/coredump.c).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    _lower(resource.RLIMIT_NOFILE, 1024, 524288)
    if memory is not None:
        _lower(resource.RLIMIT_AS, memory, memory)
    if processes is not None:
        _lower(resource.RLIMIT_NPROC, processes, processes)


def _lower(kind: int, soft: int, hard: int) -> None:
    _, highest = resource.getrlimit(kind)
    hard = hard if highest == resource.RLIM_INFINITY else min(hard, highest)
    resource.setrlimit(kind, (min(soft, hard), hard))
