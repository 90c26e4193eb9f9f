# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that try to harm the host, on every runner. None of them may reach past its job.

Where an attempt would really hurt if it got through, a harmless relative of the same right is used:
``h`` and not ``c`` for sysrq, switching Ctrl-Alt-Del off and not a reboot.
"""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_bench import Bench

from farm.plan.job import Limits

_PRELUDE = """
import ctypes, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def attempt(what, *arguments):
    result = getattr(libc, what)(*arguments)
    print(what, arguments[0] if what == 'syscall' else '', 'done' if result >= 0 else 'refused', flush=True)
"""


@dataclasses.dataclass(frozen=True)
class Attempt:
    """Steps, with what their log may not contain. ``code`` is Python."""

    name: str
    steps: tuple[str, ...] = ()
    code: str = ""
    forbidden: bytes = b"done"


_DISK = Path("/").stat().st_dev
_NODE = f"b {os.major(_DISK)} {os.minor(_DISK)}"

ATTEMPTS = (
    Attempt("remove-root", ("rm -rf / /* /.[!.]*; true",)),
    Attempt("remove-devices", ("rm -f /dev/* ; chmod 000 /dev/null /dev/zero; chown 5:5 /dev/full; true",)),
    Attempt("sysctl", ("for f in kernel/panic vm/swappiness; do echo 7 >/proc/sys/$f && echo done; done; true",)),
    Attempt("sysrq", ("echo h >/proc/sysrq-trigger && [ -s /proc/sysrq-trigger ] && echo done; true",)),
    Attempt(
        "mount",
        (
            "mkdir -p /m; mount -t tmpfs x /m && echo done; mount -t proc x /m && echo done; true",
            "mount -o remount,rw /proc/sys && echo done; mount -o remount,dev / && echo done; true",
            "mount --bind / /m && echo done; umount /proc/sys && echo done; umount -l /dev && echo done; true",
        ),
    ),
    Attempt(
        "disk-node",
        tuple(
            f"mknod {at}/d {_NODE} && head -c 512 {at}/d >/dev/null && echo done; true"
            for at in ("", "/dev", "/dev/shm")
        ),
    ),
    Attempt("memory-node", ("mknod /k c 1 1 && head -c 1 /k >/dev/null && echo done; true",)),
    Attempt("kill", ("kill -9 -1; kill -9 1; kill -STOP 1; true",)),
    Attempt(
        "pid-1",
        (
            "for f in root/ cwd/ exe; do ls /proc/1/$f >/dev/null && echo done; done; true",
            "for f in 0 1 2 3 4; do (echo x >/proc/1/fd/$f) 2>/dev/null && echo done; done; true",
            "head -c 1 /proc/1/mem >/dev/null && echo done; head -c 9 /proc/1/environ | grep . && echo done; true",
        ),
    ),
    Attempt("ptrace", code="attempt('ptrace', 16, 1, 0, 0)"),
    Attempt("reboot", code="attempt('reboot', 0)"),
    Attempt("hostname", code="attempt('sethostname', b'hacked', 6)"),
    Attempt("clock", code="attempt('clock_settime', 0, struct.pack('ll', 1, 0))"),
    Attempt("module", code="attempt('syscall', 175, b'x', 1, b'')", forbidden=b"175 done"),
    Attempt("keys", code="attempt('syscall', 248, b'user', b'farm', b'x', 1, -4); attempt('syscall', 250, 0, -4, 1)"),
    Attempt("bpf", code="attempt('syscall', 321, 0, bytes(64), 64)"),
    Attempt("user-namespace", code="attempt('unshare', 0x10000000); attempt('unshare', 0x20000)"),
    Attempt("file-handle", code="attempt('syscall', 304, 3, bytes(16), 0)"),
    Attempt("io-ports", code="attempt('iopl', 3)"),
    Attempt("priority", code="attempt('setpriority', 0, 0, -20)"),
    Attempt("limits", code="attempt('setrlimit', 7, struct.pack('QQ', 1 << 40, 1 << 40))"),
    Attempt("swap", code="attempt('swapoff', b'/swap'); attempt('acct', b'/acct')"),
    Attempt(
        "chroot",
        code="""
os.makedirs('/j', exist_ok=True); fd = os.open('/', os.O_RDONLY); os.chroot('/j'); os.fchdir(fd)
for n in range(64): os.chdir('..')
os.chroot('.'); print('done' if os.path.exists(CANARY) else 'refused')
""",
    ),
    Attempt("oom-score", ("echo -1000 >/proc/self/oom_score_adj && echo done; true",)),
    Attempt(
        "cgroups",
        ("mount -t cgroup x /m && echo done; mount -t cgroup2 x /m && echo done; ls /sys | grep . && echo done; true",),
    ),
    Attempt("kernel-log", ("dmesg -c >/dev/null && echo done; true",)),
    Attempt("network-setup", ("ip link add d type dummy && echo done; ifconfig lo down && echo done; true",)),
)

_ON_PID_1 = ("pid-1", "ptrace")


@dataclasses.dataclass
class Host:
    """What has to be the same afterwards."""

    canary: Path
    child: subprocess.Popen[bytes]

    def state(self) -> dict[str, object]:
        """Facts that any of the attempts would change."""
        devices = {name: Path("/dev", name).stat() for name in ("null", "zero", "full")}
        settings = ("kernel/panic", "vm/swappiness", "kernel/hostname")
        return {
            "canary": self.canary.read_text(),
            "alive": self.child.poll(),
            "devices": {n: (s.st_mode, s.st_uid, s.st_gid, s.st_rdev) for n, s in devices.items()},
            "settings": [Path("/proc/sys", name).read_text() for name in settings],
            "mounts": sorted(_top_mounts()),
            "hostname": socket.gethostname(),
            "clock": time.time() > 1_700_000_000,
            "files": sorted(path.name for path in Path("/").iterdir()),
        }


def _top_mounts() -> set[str]:
    """Mount points near the root: deeper ones come and go on a busy host."""
    points = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    return {point for point in points if point.count("/") <= 2}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    canary = tmp_path / "canary"
    canary.write_text("alive")
    with subprocess.Popen(["sleep", "600"]) as child:
        try:
            yield Host(canary, child)
        finally:
            child.kill()


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=[a.name for a in ATTEMPTS])
def test_attempt(bench: Bench, python: str, host: Host, attempt: Attempt) -> None:
    if attempt.code and os.uname().machine != "x86_64":
        pytest.skip("the numbers of system calls in this table are those of x86_64")
    if attempt.name in _ON_PID_1 and bench.runner.name == "docker":
        pytest.skip("a container's first process is the job's own: it may do with it what it likes")
    before = host.state()
    steps = attempt.steps
    if attempt.code:
        program = f"{_PRELUDE}\nCANARY = {str(host.canary)!r}\n{attempt.code}"
        steps = (f"cat >/p.py <<'END'\n{program}\nEND\npython -ISB /p.py",)
    outcome, log = bench.run(*steps, layers=(python,), limits=Limits(timeout=60))
    assert attempt.forbidden not in log, log
    assert b"Traceback" not in log, log
    if attempt.code:
        assert b"refused" in log, log
    assert outcome.status in ("ok", "failed")
    assert host.state() == before


def test_fork_bomb(bench: Bench, host: Host) -> None:
    before = host.state()
    began = time.monotonic()
    step = "bomb() { bomb | bomb & }; bomb; sleep 100"
    outcome, _ = bench.run(step, limits=Limits(processes=100, timeout=2))
    assert outcome.status in ("timeout", "failed")
    assert time.monotonic() - began < 60
    assert host.state() == before
    assert bench.output("echo again") == b"again\n"


def test_fill_the_disk(bench: Bench, host: Host) -> None:
    outcome, _ = bench.run("cat /dev/zero >/big", limits=Limits(disk=64 << 20, timeout=60))
    assert (outcome.status, outcome.failure and outcome.failure.reason) == ("failed", "disk")
    assert host.state()["canary"] == "alive"


def test_fill_the_log(bench: Bench) -> None:
    outcome, log = bench.run("yes", limits=Limits(disk=32 << 20, timeout=60))
    assert (outcome.status, outcome.failure and outcome.failure.reason) == ("failed", "disk")
    assert len(log) < 8 << 30


def test_fill_the_memory(bench: Bench, host: Host) -> None:
    limits = Limits(memory=64 << 20, timeout=60)
    outcome, _ = bench.run("cat /dev/zero >/dev/shm/big", "false", limits=limits)
    assert outcome.status == "failed"
    assert host.state()["alive"] is None


@pytest.mark.parametrize("network", [False, True])
def test_abstract_sockets(bench: Bench, python: str, network: bool) -> None:
    name = f"\0farm-test-{os.getpid()}"
    code = f"import socket; socket.socket(socket.AF_UNIX).connect({name!r}); print('connected')"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(name)
        listening.listen()
        outcome, log = bench.run(f'python -ISBc "{code}"', layers=(python,), network=network)
    if network and outcome.status == "ok":
        pytest.skip("this kernel's Landlock cannot scope abstract sockets (Linux 6.12)")
    assert b"Error" in log
    assert b"connected\n" not in log


def test_no_descriptor_of_the_host(bench: Bench) -> None:
    assert bench.output("exec ls /proc/self/fd") == b"0\n1\n2\n3\n"


def test_store_is_out_of_sight(bench: Bench, host: Host) -> None:
    log = bench.output(
        f"ls {bench.store.root} {host.canary} 2>&1; grep -c {bench.store.root} /proc/self/mountinfo; true"
    )
    assert b"No such file" in log
    assert log.endswith(b"\n0\n")
