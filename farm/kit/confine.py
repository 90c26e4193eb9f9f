# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs what a kit brings along (ebuilds, generator scripts) where it can reach nothing: bubblewrap's namespaces.

No network, no capability, no user namespace of its own, the farm's system call filter, a control group for memory and
processes, a read-only view of /usr and of what is named, and a small file system in memory to write to. Neither the
home, nor /etc, /run or any socket of the host is there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from farm.runner import cgroup
from farm.runner.sandbox.abi import abis
from farm.runner.sandbox.privileges import filter_program
from farm.spec.problem import error

USER = 250
"""The user's and group's number inside (Gentoo's number of ``portage``)."""

_ETC = {
    "passwd": f"root:x:0:0::/:/bin/sh\nportage:x:{USER}:{USER}::/tmp:/bin/sh\n",
    "group": f"root:x:0:\nportage:x:{USER}:portage\n",
    "hosts": "127.0.0.1 localhost\n",
}
_JOIN = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 97; shift; done; shift; exec "$@"'
_CHUNK = 1 << 16


@dataclasses.dataclass(frozen=True, slots=True)
class Confinement:
    """What is seen and how much may be used. Sizes in bytes, ``seconds`` of wall time.

    ``read_only`` and ``writable``: path inside → folder or file of the host. ``network`` shares the host's network.
    """

    read_only: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    writable: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    workdir: str = "/tmp"
    network: bool = False
    seconds: float = 600.0
    memory: int = 2 << 30
    processes: int = 512
    scratch: int = 1 << 30
    output: int = 64 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Confined:
    """How it ended. ``stopped``: ``""``, ``timeout`` or ``output`` (it said more than it may)."""

    status: int
    out: bytes
    err: bytes
    stopped: str = ""


def check_confinement() -> None:
    """FarmError ``no-bubblewrap`` when this host has no bwrap."""
    if not shutil.which("bwrap"):
        raise error("no-bubblewrap", "ebuilds and scripts of kits are only run confined, and bwrap is not there",
                    hint="Install the package bubblewrap.")  # fmt: skip


def run_confined(command: Sequence[str], how: Confinement, stdin: bytes = b"") -> Confined:
    """Runs a command to its end. Whatever happens, nothing of it is left running or mounted.

    FarmError ``no-bubblewrap``, ``confinement-failed``.
    """
    check_confinement()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="farm-confined-")))
        for name, content in _ETC.items():
            (folder / name).write_text(content)
        (folder / "seccomp").write_bytes(filter_program(abis()))
        seccomp = stack.enter_context((folder / "seccomp").open("rb"))
        _sweep()
        group = cgroup.new_group("kit")
        stack.callback(group.remove)
        group.limit(how.memory, how.processes)
        lacking = "" if "memory" in group.folders else f"ulimit -v {how.memory >> 10}; "
        words = [
            "sh",
            "-c",
            lacking + _JOIN,
            "sh",
            *group.process_files,
            "--",
            *_bwrap(how, folder, seccomp.fileno()),
            *command,
        ]
        ended = _run(words, how, stdin, seccomp.fileno())
    if ended.status == 97 or ended.err.startswith(b"bwrap: "):
        raise error("confinement-failed", ended.err.decode("utf-8", "replace").strip()[:500] or "no control group",
                    hint="See `farm doctor`.")  # fmt: skip
    return ended


@functools.cache
def _sweep() -> None:
    """Removes the control groups of farms that were killed, once."""
    cgroup.sweep()


def _bwrap(how: Confinement, folder: Path, seccomp: int) -> list[str]:
    words = ["bwrap", "--unshare-all", "--unshare-user", "--uid", str(USER), "--gid", str(USER), "--die-with-parent",
             "--new-session", "--cap-drop", "ALL", "--hostname", "farm", "--clearenv",
             "--seccomp", str(seccomp), "--ro-bind", "/usr", "/usr"]  # fmt: skip
    if how.network:
        words.append("--share-net")
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        words += _top(Path("/", name))
    for name in _ETC:
        words += ["--ro-bind", str(folder / name), f"/etc/{name}"]
    for name in ("alternatives", "ld.so.cache", *(("resolv.conf", "ssl", "nsswitch.conf") if how.network else ())):
        words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    words += ["--proc", "/proc", "--dev", "/dev", "--size", str(how.scratch), "--tmpfs", "/tmp"]
    for inside, path in how.read_only.items():
        words += ["--ro-bind", str(path), inside]
    for inside, path in how.writable.items():
        words += ["--bind", str(path), inside]
    env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/tmp", "LC_ALL": "C.UTF-8", **how.env}
    for name, value in env.items():
        words += ["--setenv", name, value]
    return [*words, "--chdir", how.workdir, "--"]


def _top(path: Path) -> list[str]:
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.is_dir() else []


def _run(words: Sequence[str], how: Confinement, stdin: bytes, seccomp: int) -> Confined:
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        words, stdin=pipe, stdout=pipe, stderr=pipe, pass_fds=(seccomp,), start_new_session=True, cwd="/"
    )
    stopped: list[str] = []

    def stop(why: str) -> None:
        stopped.append(why)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    assert process.stdin and process.stdout and process.stderr
    out, err = (_Collector(stream, how.output, lambda: stop("output")) for stream in (process.stdout, process.stderr))
    with _timer(how.seconds, lambda: stop("timeout")), process.stdin as feeding:
        feeder = threading.Thread(target=_feed, args=(feeding, stdin))
        feeder.start()
        try:
            process.wait()
        finally:
            if process.poll() is None:
                stop("cancelled")
                process.wait()
        feeder.join()
    return Confined(process.returncode, out.finish(), err.finish(), stopped[0] if stopped else "")


@contextlib.contextmanager
def _timer(seconds: float, then: Callable[[], None]) -> Iterator[None]:
    timer = threading.Timer(seconds, then)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _feed(stream: IO[bytes], content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        stream.write(content)
        stream.close()


class _Collector:
    """Reads a stream to its end in a thread; what is beyond ``limit`` is dropped, and told once."""

    def __init__(self, stream: IO[bytes], limit: int, beyond: Callable[[], None]) -> None:
        self.parts: list[bytes] = []
        self.stream, self.limit, self.beyond = stream, limit, beyond
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        size = 0
        while chunk := os.read(self.stream.fileno(), _CHUNK):
            size += len(chunk)
            if size <= self.limit:
                self.parts.append(chunk)
            elif size - len(chunk) <= self.limit:
                self.beyond()

    def finish(self) -> bytes:
        """All that was kept."""
        self.thread.join()
        self.stream.close()
        return b"".join(self.parts)
