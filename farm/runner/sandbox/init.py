# SPDX-License-Identifier: GPL-3.0-or-later
"""Pid 1 of a job: makes the root, gives up its rights, runs the commands, kills what they leave behind.

It speaks JSON packets on a socket: ``{"started": n}``, ``{"ended": n, "status": wait status}``,
``{"refused": n, "errno": e, "what": text}`` when a command could not be started,
``{"broken": text, "errno": e}`` when the root could not be made, ``{"done": true, "cpu": s, "peak": bytes}``.
After `enter_root` nothing can be imported any more: the farm's own files are out of sight.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import resource
import signal
import socket
import stat
import struct
import termios
import time
from pathlib import Path

from farm.runner.sandbox import privileges, root, syscalls
from farm.runner.sandbox.request import Request
from farm.runner.skeleton import HOSTNAME

SHELL = "/bin/sh"
NAMESPACES = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
_REPORT = 3
_TRIES = 500
_PASSING = (errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN)
"""Failures to send that pass: the kernel had no memory for a packet within the job's limit."""
_OOM_ADJUSTMENT = "500"
_IFF_UP = 1
_SIOCSIFFLAGS = 0x8914


def send(report: int, **message: object) -> None:
    """Sends one packet. Nobody listening is no reason to stop: the farm kills what it does not want."""
    packet = json.dumps(message).encode()
    for _ in range(_TRIES):
        try:
            os.write(report, packet)
        except OSError as problem:
            if problem.errno not in _PASSING:
                return
            time.sleep(0.01)
        else:
            return


def send_last(report: int, problem: BaseException) -> None:
    """Tells what nobody expected. `run_job` may have put the socket elsewhere before."""
    for fd in (report, _REPORT):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                send(fd, broken=f"{type(problem).__name__}: {problem}", errno=0)
                return


def run_job(request: Request, output: int, report: int) -> None:
    """All of pid 1's life for a job. ``output`` is where the commands write, ``report`` the socket."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.dup2(report, _REPORT)
    os.set_inheritable(_REPORT, False)
    try:
        _own_session()
        _prepare(request)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        syscalls.close_from(_REPORT + 1)
        _finish(request)
    except OSError as problem:
        send(_REPORT, broken=str(problem), errno=problem.errno or 0)
        return
    _run_commands(request)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    send(_REPORT, done=True, cpu=used.ru_utime + used.ru_stime, peak=used.ru_maxrss * 1024)


def run_shell(request: Request) -> int:
    """All of pid 1's life for an interactive shell on the caller's terminal: the shell's exit code."""
    _prepare(request)
    syscalls.close_from(3)
    _finish(request)
    os.chdir(request.workdir if Path(request.workdir).is_dir() else "/")
    pid = os.fork()
    if pid == 0:
        _take_terminal()
        with contextlib.suppress(OSError):
            os.execvpe(request.shell[0], request.shell, request.env)
        os._exit(127)
    status = _wait_for(pid)
    _kill_the_rest()
    return exit_code(status)


def exit_code(status: int) -> int:
    """A wait status as a shell tells it: 128+N for signal N."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _prepare(request: Request) -> None:
    """What needs the host: groups, namespaces, the root."""
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write(_OOM_ADJUSTMENT)
    for path in request.cgroups:
        with open(path, "w") as file:
            file.write("0")
    if request.on_host:
        root.enter_host(request)
        return
    syscalls.unshare(syscalls.CLONE_NEWCGROUP)
    if not request.network:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        _loopback_up()
    socket.sethostname(HOSTNAME)
    os.umask(0)
    root.enter_root(request)


def _own_session() -> None:
    """A session of the job's own. Where the kernel shares the processors between sessions, it is as nice as the farm.

    Such a group of a session has a niceness of its own, 0 at first; that of its processes counts only inside
    (sched(7), "The autogroup feature"). Without rights it can be set ten times a second on the whole host.
    """
    os.setsid()
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    for _ in range(3 if nice else 0):
        try:
            with open("/proc/self/autogroup", "w") as file:
                file.write(str(nice))
            return
        except OSError as problem:
            if problem.errno != errno.EAGAIN:
                return
        time.sleep(0.1)


def _finish(request: Request) -> None:
    """Gives up all that a job may not have. After this nobody in the job can look into this process either."""
    os.umask(0o022)
    if request.on_host:
        return
    os.setgroups([0])
    privileges.set_limits(request.rlimit_memory, request.rlimit_processes)
    if request.network:
        syscalls.scope_abstract_sockets()
    privileges.forbid_calls()
    privileges.drop_capabilities(host_network=request.network)
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))


def _run_commands(request: Request) -> None:
    for number, text in enumerate(request.commands):
        send(_REPORT, started=number)
        try:
            os.chdir(request.workdir)
            pid = os.posix_spawn(
                SHELL,
                [SHELL, "-c", text],
                request.env,
                setpgroup=0,
                setsigmask=(),
                setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
            )
        except OSError as problem:
            send(_REPORT, refused=number, errno=problem.errno or 0, what=problem.filename or "")
            return
        status = _wait_for(pid)
        _kill_the_rest()
        send(_REPORT, ended=number, status=status)
        if status != 0:
            return


def _wait_for(pid: int) -> int:
    """Waits for one child's status and meanwhile buries the orphans of the job."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return status


def _kill_the_rest() -> None:
    """Everybody else in this PID namespace. Whoever forks meanwhile is caught by the next round."""
    while True:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _take_terminal() -> None:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with contextlib.suppress(OSError, termios.error):
        os.tcsetpgrp(0, os.getpid())
    for number in (signal.SIGTTOU, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
