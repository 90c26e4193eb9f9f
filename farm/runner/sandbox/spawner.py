# SPDX-License-Identifier: GPL-3.0-or-later
"""The process below the farm that forks the pid 1 of every job.

The farm has threads and much memory; forking, and cloning into a PID namespace, wants a process that has neither.
It dies with the farm (it holds a handle of it), every job dies with it (parent-death signal), and all below a
job's pid 1 dies with that: a farm that is killed leaves nothing behind.
"""

from __future__ import annotations

import array
import contextlib
import gc
import os
import select
import signal
import socket
import sys

from farm.runner.sandbox import init, probe, syscalls
from farm.runner.sandbox.request import Request

_NEEDED_FDS = 3
_DEATH_SIGNAL = int(signal.SIGKILL)


def serve(control: socket.socket, farm: int) -> None:
    """Forks one job for every message on ``control`` until the farm (a pidfd) ends or closes the socket.

    A message carries three file descriptors: the request, where output goes, and the report socket. The first
    packet on the report socket is ``{"pid": n}`` with a pidfd of the job's pid 1, unless the fork failed.
    """
    own = os.pidfd_open(os.getpid())
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(farm, select.POLLIN)
    gc.freeze()
    while True:
        ready = dict(poll.poll())
        if farm in ready:
            return
        fds = _receive(control)
        if not fds:
            return
        _start(own, *fds)
        for fd in fds:
            os.close(fd)


def _receive(control: socket.socket) -> list[int]:
    data, fds, _, _ = socket.recv_fds(control, 1, _NEEDED_FDS, socket.MSG_CMSG_CLOEXEC)
    return fds if data and len(fds) == _NEEDED_FDS else []


def _start(own: int, request: int, output: int, report: int) -> None:
    try:
        pid = syscalls.clone(init.NAMESPACES)
    except OSError as problem:
        init.send(report, broken=str(problem), errno=problem.errno or 0)
        return
    if pid == 0:
        _be_pid_1(own, request, output, report)
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    _send_handle(report, pid, handle)
    os.close(handle)


def _send_handle(report: int, pid: int, handle: int) -> None:
    with socket.socket(fileno=os.dup(report)) as channel, contextlib.suppress(OSError):
        rights = array.array("i", [handle])
        channel.sendmsg([b'{"pid": %d}' % pid], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def _be_pid_1(own: int, request: int, output: int, report: int) -> None:
    """Never returns. What goes wrong here must not run the spawner's code a second time."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _die_with(own)
        init.run_job(Request.from_memory(os.dup(request)), output, report)
    except BaseException as problem:  # noqa: BLE001 - told to the farm, which is all that can be done
        init.send_last(report, problem)
    finally:
        os._exit(0)


def _die_with(parent: int) -> None:
    """Asks to be killed when the parent (a pidfd) dies, and sees to it that it has not died already."""
    syscalls.prctl(syscalls.PR_SET_PDEATHSIG, _DEATH_SIGNAL)
    poll = select.poll()
    poll.register(parent, select.POLLIN)
    if poll.poll(0):
        os._exit(1)


def shell(request: Request) -> int:
    """Runs an interactive shell with this process's terminal: its exit code."""
    own = os.pidfd_open(os.getpid())
    foreground = _foreground()
    pid = syscalls.clone(init.NAMESPACES)
    if pid == 0:
        code = 126
        try:
            _die_with(own)
            code = init.run_shell(request)
        except OSError as problem:
            os.write(2, f"farm: {problem}\n".encode())
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if foreground is not None:
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, foreground)
    return init.exit_code(status)


def _foreground() -> int | None:
    try:
        return os.tcgetpgrp(0)
    except OSError:
        return None


def main(arguments: list[str]) -> int:
    """``serve CONTROL FARM`` or ``shell REQUEST``, all inherited file descriptors; ``probe FOLDER``."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    if arguments[0] == "shell":
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, _DEATH_SIGNAL)
        return shell(Request.from_memory(int(arguments[1])))
    if arguments[0] == "probe":
        return probe.try_out(arguments[1])
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    control, farm = (int(text) for text in arguments[1:])
    with socket.socket(fileno=control) as channel:
        serve(channel, farm)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
