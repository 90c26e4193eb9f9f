# SPDX-License-Identifier: GPL-3.0-or-later
"""What every runner has to do, by the protocol alone. A new runner only has to be in the registry."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from job_bench import Bench
from job_changes import CHANGES, Change, listing

from farm.plan.job import FileInput, Job, Limits

GIB = 1 << 30
_GET = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 10 {host} {port}"
_digests: dict[str, str] = {}
"""By change: the layer that the first runner made."""

OUTPUTS: tuple[tuple[str, tuple[str, ...], bytes], ...] = (
    ("working-directory", ("pwd",), b"/luetbuild\n"),
    ("ids", ("id -u; id -g; id -G",), b"0\n0\n0\n"),
    ("umask", ("umask",), b"0022\n"),
    ("hostname", ("hostname; cat /etc/hostname",), b"farm\nfarm\n"),
    ("stdin-is-empty", ("wc -c; readlink /proc/self/fd/0",), b"0\n/dev/null\n"),
    ("no-terminal", ("(: </dev/tty) 2>/dev/null && echo yes || echo no",), b"no\n"),
    ("null", ("echo x >/dev/null && wc -c </dev/null",), b"0\n"),
    ("devices", ("head -c 3 /dev/zero | wc -c; head -c 5 /dev/urandom | wc -c",), b"3\n5\n"),
    ("shared-memory", ("echo x >/dev/shm/x && cat /dev/shm/x; stat -c %a /dev/shm",), b"x\n1777\n"),
    ("descriptors", ("echo x | cat /dev/stdin; echo y >/dev/stdout; ls /dev/fd/0",), b"x\ny\n/dev/fd/0\n"),
    ("tmp", ("stat -c %a /tmp /var/tmp",), b"1777\n1777\n"),
    ("folders", ("for f in proc dev sys tmp etc run var; do [ -d /$f ] || echo $f; done",), b""),
    ("capabilities", ("grep CapEff /proc/self/status",), b"CapEff:\t00000000a80425fb\n"),
    ("one-pipe-in-order", ("echo a; echo b >&2; echo c; echo d >&2",), b"a\nb\nc\nd\n"),
    ("no-final-newline", ("printf abc",), b"abc"),
    ("binary", ("printf '\\000\\377\\r\\n\\033[31m\\000'",), b"\0\xff\r\n\x1b[31m\0"),
    ("split-character", ("printf '\\303'; sleep 0.3; printf '\\274'",), "ü".encode()),
    ("own-shell-each", ("x=1; cd /", "echo ${x-unset}; pwd"), b"unset\n/luetbuild\n"),
    ("files-stay", ("echo x >f", "cat f"), b"x\n"),
    ("only-loopback", ("ls -1 /proc/sys/net/ipv4/conf | grep -v -e all -e default",), b"lo\n"),
    ("loopback-works", ("ping -c 1 -W 5 127.0.0.1 >/dev/null && echo up",), b"up\n"),
    ("background-child", ("sleep 1000 & echo a", "pgrep_=$(ps | grep -c '[s]leep 1000'); echo $pgrep_"), b"a\n0\n"),
    ("daemon", ("(setsid sleep 1001 >/dev/null 2>&1 &)", "ps | grep -c '[s]leep 1001'; true"), b"0\n"),
    (
        "deaf-child",
        ("sh -c 'trap \"\" TERM HUP INT; sleep 1002' & sleep 0.2", "ps | grep -c '[s]leep 1002'; true"),
        b"0\n",
    ),
    ("many-files-open", ("ulimit -n",), b"1024\n"),
    ("no-core", ("ulimit -c",), b"0\n"),
)

FAILURES: tuple[tuple[str, tuple[str, ...], int, int], ...] = (
    ("false", ("false",), 0, 1),
    ("code", ("exit 42",), 0, 42),
    ("not-found", ("no-such-program",), 0, 127),
    ("not-executable", ("/etc",), 0, 126),
    ("killed", ("kill -9 $$",), 0, 137),
    ("terminated", ("kill -TERM $$",), 0, 143),
    ("child-killed", ("sh -c 'kill -9 $$'",), 0, 137),
    ("second", ("true", "exit 3", "echo never"), 1, 3),
    ("syntax", ("if",), 0, 2),
    ("kills-itself", ("sleep 1003 & kill -9 -1; kill -9 $$",), 0, 137),
)


@pytest.mark.parametrize(("steps", "expected"), [c[1:] for c in OUTPUTS], ids=[c[0] for c in OUTPUTS])
def test_output(bench: Bench, steps: tuple[str, ...], expected: bytes) -> None:
    assert bench.output(*steps) == expected


@pytest.mark.parametrize(("steps", "command", "code"), [c[1:] for c in FAILURES], ids=[c[0] for c in FAILURES])
def test_failure(bench: Bench, steps: tuple[str, ...], command: int, code: int) -> None:
    outcome, log = bench.run(*steps)
    assert (outcome.status, outcome.layer) == ("failed", None)
    assert outcome.failure
    assert (outcome.failure.command, outcome.failure.exit_code) == (command, code), log
    assert b"never" not in log


@pytest.mark.xdist_group("one digest")
@pytest.mark.parametrize("change", CHANGES, ids=[c.name for c in CHANGES])
def test_layer(bench: Bench, change: Change, request: pytest.FixtureRequest) -> None:
    layers = (request.getfixturevalue("python"),) if change.python else ()
    if change.before:
        layers += (bench.layer(*change.before, layers=layers),)
    digest = bench.layer(*change.steps, layers=layers)
    assert listing(bench.store.layer_path(digest)) == change.expected
    assert _digests.setdefault(change.name, digest) == digest


def test_own_session(sandbox: Bench) -> None:
    """The job's first process leads a session that is not the farm's; each command leads a process group in it.

    Not with Docker, where a shell starts the commands: POSIX has no way to begin a session.
    """
    step = "set -- $(cat /proc/$$/stat); echo session $6; [ $5 = $$ ] && echo leader"
    assert sandbox.output(step) == b"session 1\nleader\n"


def test_environment_is_exact(bench: Bench) -> None:
    env = (("A", "1"), ("EMPTY", ""), ("MULTI", "a\nb"), ("ODD", "caf\udce9 $HOME"))
    log = bench.output("cat /proc/$$/environ; true", env=env, limits=Limits(cores=3))
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    expected = ["A=1", "EMPTY=", "FARM_CORES=3", "HOME=/root", "MULTI=a\nb", "ODD=caf\udce9 $HOME", path]
    assert sorted(log.decode(errors="surrogateescape").rstrip("\0").split("\0")) == expected


def test_environment_of_the_job_wins(bench: Bench) -> None:
    log = bench.output("echo $PATH $HOME $FARM_CORES", env=(("PATH", "/bin"), ("HOME", "/x"), ("FARM_CORES", "9")))
    assert log == b"/bin /x 9\n"


def test_prelude_runs_first(bench: Bench) -> None:
    assert bench.output("echo step", prelude=("echo prelude",)) == b"prelude\nstep\n"


def test_no_command(bench: Bench) -> None:
    assert bench.output() == b""


def test_log_is_appended_to(bench: Bench) -> None:
    log = bench.logs / "log"
    log.write_bytes(b"before\n")
    job = Job(layers=(bench.base,), steps=("echo after",))
    assert bench.runner.run(job, bench.store, log, threading.Event()).status == "ok"
    assert log.read_bytes() == b"before\nafter\n"


def test_inputs(bench: Bench) -> None:
    inputs = (
        FileInput("/luetbuild/run.sh", bench.store.put_blob(b"#!/bin/sh\necho ran\n"), mode=0o755),
        FileInput("/opt/data", bench.store.put_blob(b"data\n"), mode=0o640),
        FileInput("/luetbuild/link", link="run.sh"),
    )
    below = bench.layer("echo old >f", keep_workdir=True)
    log = bench.output("./run.sh; ./link; stat -c %a /opt/data; cat /opt/data; ls", layers=(below,), inputs=inputs)
    assert log == b"ran\nran\n640\ndata\nlink\nrun.sh\n"


def test_kept_workdir(bench: Bench) -> None:
    layer = bench.layer("echo x >f", keep_workdir=True)
    assert bench.output("cat f", layers=(layer,), fresh_workdir=False) == b"x\n"


def test_base_is_not_changed(bench: Bench) -> None:
    outcome, _ = bench.run("echo broken >/bin/busybox; rm -f /bin/ls")
    assert outcome.status in ("ok", "failed")
    assert bench.output("ls /bin/ls") == b"/bin/ls\n"


def test_gigabyte_of_output(bench: Bench) -> None:
    log = bench.logs / "big"
    job = Job(layers=(bench.base,), steps=(f"head -c {GIB} /dev/zero; printf end",), limits=Limits(timeout=300))
    try:
        assert bench.runner.run(job, bench.store, log, threading.Event()).status == "ok"
        assert log.stat().st_size == GIB + 3
        with open(log, "rb") as file:
            file.seek(-4, 2)
            assert file.read() == b"\0end"
    finally:
        log.unlink(missing_ok=True)


def test_timeout(bench: Bench) -> None:
    began = time.monotonic()
    outcome, log = bench.run("echo begun; sleep 1000", "echo never", limits=Limits(timeout=1.5))
    assert outcome.status == "timeout"
    assert outcome.failure
    assert outcome.failure.command == 0
    assert log == b"begun\n"
    assert time.monotonic() - began < 30


def test_silent_timeout(bench: Bench) -> None:
    steps = ("for i in 1 2 3 4; do echo $i; sleep 0.5; done", "sleep 1000")
    outcome, log = bench.run(*steps, limits=Limits(silent_timeout=1.5, timeout=60))
    assert outcome.status == "silent"
    assert outcome.failure
    assert outcome.failure.command == 1
    assert log == b"1\n2\n3\n4\n"


def test_memory_limit(bench: Bench) -> None:
    outcome, _ = bench.run("head -c 200m /dev/zero | tail >/dev/null", limits=Limits(memory=64 << 20, timeout=60))
    assert outcome.status == "failed"
    assert outcome.failure
    assert outcome.failure.reason == "memory"


def test_memory_below_the_limit(bench: Bench) -> None:
    outcome, log = bench.run("head -c 20m /dev/zero | tail | wc -c", limits=Limits(memory=256 << 20, timeout=60))
    assert outcome.status == "ok", log
    assert 20 << 20 < outcome.memory_peak < 256 << 20


def test_process_limit(bench: Bench) -> None:
    step = "i=0; while [ $i -lt 100 ]; do sleep 100 & i=$((i+1)); done; echo all"
    outcome, log = bench.run(step, limits=Limits(processes=40, timeout=60))
    assert outcome.status == "failed"
    assert b"all" not in log


def test_disk_limit(bench: Bench) -> None:
    limits = Limits(disk=32 << 20, timeout=60)
    outcome, _ = bench.run("while true; do head -c 1m /dev/zero >>/big; sleep 0.02; done", limits=limits)
    assert outcome.status == "failed"
    assert outcome.failure
    assert outcome.failure.reason == "disk"


def test_times_and_cpu(bench: Bench) -> None:
    outcome, _ = bench.run("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done")
    assert outcome.wall > 0
    assert 0.05 < outcome.cpu < 60


def test_missing_shell(bench: Bench) -> None:
    outcome, _ = bench.run_job(Job(steps=("true",)))
    assert outcome.status == "failed"
    assert outcome.failure
    assert outcome.failure.reason == "no-shell"


def test_failed_root_is_kept(bench: Bench) -> None:
    outcome, _ = bench.run("echo x >/made; exit 1")
    assert outcome.failure
    assert outcome.failure.root
    assert (outcome.failure.root / "made").read_text() == "x\n"


def test_two_hundred_layers(bench: Bench) -> None:
    layers = tuple(bench.layer(f"mkdir -p /l; echo {n} >/l/{n}") for n in range(20))
    many = tuple(layers[n % 20] for n in range(180)) + layers
    assert bench.output("ls /l | wc -l; cat /l/19", layers=many) == b"20\n19\n"


def test_cancel(bench: Bench) -> None:
    cancel = threading.Event()
    timer = threading.Timer(1.0, cancel.set)
    timer.start()
    began = time.monotonic()
    outcome, _ = bench.run("trap '' TERM INT; (setsid sleep 1000 &); sleep 1000; sleep 1000", cancel=cancel)
    timer.join()
    assert outcome.status == "cancelled"
    assert time.monotonic() - began < 20


def test_cancelled_before(bench: Bench) -> None:
    cancel = threading.Event()
    cancel.set()
    outcome, log = bench.run("echo never", cancel=cancel)
    assert (outcome.status, log) in (("cancelled", b""),)


def test_killed_in_the_middle_of_output(bench: Bench) -> None:
    outcome, log = bench.run("yes | head -n 100000; printf half; kill -9 $$")
    assert outcome.status == "failed"
    assert log == b"y\n" * 100000 + b"half"


def test_many_at_once(bench: Bench) -> None:
    def one(number: int) -> bytes:
        return bench.output(f"echo {number} >/f; sleep 0.3; cat /f; set -- /proc/[0-9]*; echo $#; hostname")

    with ThreadPoolExecutor(8) as pool:
        logs = list(pool.map(one, range(8)))
    assert logs == [b"%d\n2\nfarm\n" % number for number in range(8)]


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """The port of a web server on this host that answers anything with ``reached``."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"reached")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made.server_port
        made.shutdown()
        thread.join()


def test_network_when_asked_for(bench: Bench, server: int) -> None:
    host = getattr(bench.runner, "host_address", "127.0.0.1")
    log = bench.output(_GET.format(host=host, port=server), network=True)
    assert log.endswith(b"reached")


def test_no_network_otherwise(bench: Bench, server: int) -> None:
    host = getattr(bench.runner, "host_address", "127.0.0.1")
    outcome, log = bench.run(_GET.format(host=host, port=server))
    assert (outcome.status, outcome.failure and outcome.failure.exit_code) == ("failed", 1), log
    assert b"reached" not in log
