# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox's own: nothing left behind, whatever is killed; layers beyond overlayfs' limits; shells."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from job_bench import Bench

from farm.plan.job import Job, Limits
from farm.runner import cgroup, disk, registry
from farm.runner.protocol import Runner
from farm.runner.sandbox import privileges, probe, runner
from farm.runner.sandbox.abi import abis
from farm.runner.sandbox.runner import Sandbox, store_name
from farm.runner.sandbox.shell import enter
from farm.spec.problem import FarmError

_SOURCE = Path(__file__).resolve().parents[2]


def _eventually(true: Callable[[], object], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return bool(true())


def _alive(marker: str) -> list[int]:
    """Processes of this host whose command line has the marker."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def _marker(number: int) -> str:
    """Seconds to sleep that no other process of this host does: not of another run of these tests, either."""
    return f"86{os.getpid():07}{number:02}"


def _groups(bench: Bench) -> list[Path]:
    bases = {h.base / store_name(bench.store) for h in cgroup.hierarchies().values()}
    return [folder for base in bases for folder in base.glob("*-*-*")]


def _mounts(bench: Bench) -> list[str]:
    text = Path("/proc/self/mountinfo").read_text()
    return [line for line in text.splitlines() if str(bench.store.root) in line]


_FARM = """
import sys, threading
from pathlib import Path
from farm.plan.job import Job
from farm.runner.sandbox.runner import Sandbox
from farm.store.store import Store
root, base, folder, marker = sys.argv[1:]
job = Job(layers=(base,), steps=(f"(setsid sleep {marker} &); sleep {marker}; true",))
with Store(Path(root)) as store:
    sandbox = Sandbox()
    logs = [Path(folder, f"k{n}") for n in range(3)]
    threads = [threading.Thread(target=sandbox.run, args=(job, store, log, threading.Event())) for log in logs]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


@pytest.mark.parametrize("delay", [None, 0.1, 0.2, 0.25, 0.3, 0.35, 0.4])
def test_killed_farm_leaves_nothing(sandbox: Bench, tmp_path: Path, delay: float | None) -> None:
    """Killed at some moment of its start, or (None) as soon as its jobs run."""
    marker = _marker(int((delay or 0) * 100))
    arguments = [str(sandbox.store.root), sandbox.base, str(tmp_path), marker]
    with subprocess.Popen([sys.executable, "-c", _FARM, *arguments], cwd=_SOURCE) as farm:
        if delay is None:
            assert _eventually(lambda: _alive(f"sleep\0{marker}"))
        else:
            time.sleep(delay)
        farm.send_signal(signal.SIGKILL)
    assert _eventually(lambda: not _alive(marker))
    cgroup.sweep()
    assert _eventually(lambda: not _groups(sandbox) or cgroup.sweep())
    assert _mounts(sandbox) == []


_FARMS = """
import sys, threading
from pathlib import Path
from farm.plan.job import Job
from farm.runner.sandbox.runner import Sandbox
from farm.store.store import Store
folder, root, name, rounds = sys.argv[1:]
with Store(Path(folder, name)) as store:
    base = store.import_layer(Path(root)).digest
    for number in range(int(rounds)):
        sandbox = Sandbox()
        jobs = [Job((base,), steps=(f"echo {name} {number} {n}",), once=f"{number} {n}") for n in range(3)]
        print(*(sandbox.run(job, store, Path(folder, f"{name}.log"), threading.Event()).status for job in jobs))
        sandbox.close()
"""
_SWEEPS = "from farm.runner import cgroup\nwhile True: cgroup.sweep()"


def test_farms_that_start_and_end_all_the_time_do_not_hit_each_other(sandbox: Bench, tmp_path: Path) -> None:
    """Two farms with stores of their own, and one in another container that does nothing but tidy up."""
    with open(tmp_path / "root.tar", "wb") as out:
        sandbox.store.write_layer_tar(sandbox.base, out)
    command = [sys.executable, "-c", _FARMS, str(tmp_path), str(tmp_path / "root.tar")]
    contained = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", _SWEEPS]
    with subprocess.Popen(contained, cwd=_SOURCE) as sweeper:
        pipe = subprocess.PIPE
        farms = [subprocess.Popen([*command, name, "8"], cwd=_SOURCE, stdout=pipe, text=True) for name in ("a", "b")]
        said = [farm.communicate(timeout=200)[0].split() for farm in farms]
        sweeper.kill()
    assert said == [["ok"] * 24] * 2


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel has no autogroups")
def test_a_nice_farm_has_nice_jobs(sandbox: Bench, tmp_path: Path) -> None:
    job = "Job((sys.argv[2],), steps=('cat /proc/self/autogroup /proc/$$/stat /proc/1/stat',))"
    code = f"""
import sys, threading
from pathlib import Path
from farm.plan.job import Job
from farm.runner.sandbox.runner import Sandbox
from farm.store.store import Store
with Store(Path(sys.argv[1])) as store:
    print(Sandbox().run({job}, store, Path(sys.argv[3]), threading.Event()).status)
"""
    log = tmp_path / "log"
    for nice in (0, 7):
        command = ["nice", "-n", str(nice), sys.executable, "-c", code, sandbox.store.root, sandbox.base, log]
        assert subprocess.check_output(command, cwd=_SOURCE, text=True) == "ok\n"
        group, *stats = log.read_text().splitlines()
        shell, first = (text.rpartition(")")[2].split() for text in stats)
        own = os.getpriority(os.PRIO_PROCESS, 0) + nice
        assert (shell[16], first[16], group.rpartition(" nice ")[2]) == (str(own),) * 3
        assert (shell[3], first[3], shell[2] == first[2]) == ("1", "1", False)
        log.unlink()


def test_killed_spawner_is_an_infrastructure_fault(sandbox: Bench, tmp_path: Path) -> None:
    own, marker = Sandbox(), _marker(91)
    job = Job(layers=(sandbox.base,), steps=(f"sleep {marker}",))
    caught: list[FarmError] = []

    def run() -> None:
        try:
            own.run(job, sandbox.store, tmp_path / "log", threading.Event())
        except FarmError as problem:
            caught.append(problem)

    thread = threading.Thread(target=run)
    thread.start()
    assert _eventually(lambda: _alive(f"sleep\0{marker}"))
    assert own._spawner
    own._spawner.kill()
    thread.join(20)
    assert [(p.code, p.transient) for p in caught] == [("sandbox-setup", True)]
    assert _eventually(lambda: not _alive(marker))
    quick = Job(layers=(sandbox.base,), steps=("true",))
    assert own.run(quick, sandbox.store, tmp_path / "log", threading.Event()).status == "ok"
    own.close()


def test_killed_pid_1_is_an_infrastructure_fault(sandbox: Bench) -> None:
    marker = _marker(92)

    def kill() -> None:
        _eventually(lambda: _alive(f"sleep\0{marker}"))
        for pid in _alive(f"sleep\0{marker}"):
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
            os.kill(parent, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(FarmError) as caught:
        sandbox.run(f"exec sleep {marker}")
    thread.join()
    assert caught.value.code == "sandbox-setup"


def test_nothing_is_left_after_jobs(sandbox: Bench) -> None:
    marker = _marker(93)
    sandbox.output(f"(setsid sleep {marker} &); true")
    sandbox.run("exit 1")
    assert _alive(marker) == []
    assert _groups(sandbox) == []
    assert _mounts(sandbox) == []


def test_close_twice(sandbox: Bench, tmp_path: Path) -> None:
    own = Sandbox()
    own.close()
    job = Job(layers=(sandbox.base,), steps=("true",))
    assert own.run(job, sandbox.store, tmp_path / "log", threading.Event()).status == "ok"
    own.close()
    own.close()


def test_more_layers_than_overlayfs_takes(sandbox: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "MAX_LAYERS", 3)
    layers = tuple(sandbox.layer(f"echo {n} >/{n}") for n in range(4))
    assert sandbox.output("cat /0 /3", layers=layers) == b"0\n3\n"


def test_equal_layers(sandbox: Bench) -> None:
    made = sandbox.layer("echo x >/f")
    gone = sandbox.layer("rm /f", layers=(made,))
    assert sandbox.output("cat /f", layers=(made, gone, made)) == b"x\n"


def test_reserve_of_the_disk(sandbox: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_RESERVE", 1 << 60)
    monkeypatch.setattr(disk, "_RESERVE_SHARE", 2.0)
    outcome, _ = sandbox.run("sleep 100")
    assert (outcome.status, outcome.failure and outcome.failure.reason) == ("failed", "disk")


def test_disk_use_is_like_du(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "f").write_bytes(b"x" * 100_000)
    (tmp_path / "link").symlink_to("/usr")
    assert 100_000 <= disk.disk_use(tmp_path) < 200_000


def test_without_cgroups(sandbox: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "hierarchies", dict)
    outcome, _ = sandbox.run("head -c 200m /dev/zero | tail >/dev/null", limits=Limits(memory=64 << 20, timeout=60))
    assert outcome.status == "failed"
    assert sandbox.output("echo fine") == b"fine\n"


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ("exit 5", "exit"),
        ("kill -9 $$", "signal"),
        (f"true {'x' * 200_000}", "too-long"),
    ],
)
def test_reasons(sandbox: Bench, step: str, reason: str) -> None:
    outcome, _ = sandbox.run(step)
    assert outcome.failure
    assert outcome.failure.reason == reason


def test_workdir_removed_by_a_step(sandbox: Bench) -> None:
    outcome, _ = sandbox.run("rm -r /luetbuild", "true")
    assert outcome.failure
    assert (outcome.failure.command, outcome.failure.reason) == (1, "no-workdir")


def _archive(*members: tuple[str, bytes, str]) -> io.BytesIO:
    """A tarball of (name, type, link target)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, target in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = kind, target, 0o755
            tar.addfile(entry)
    out.seek(0)
    return out


@pytest.mark.parametrize("name", ["proc", "dev", "sys", "etc"])
def test_root_with_a_link_where_a_folder_has_to_be(sandbox: Bench, name: str) -> None:
    """It must not lead a mount astray."""
    layer = sandbox.store.import_layer(_archive((name, tarfile.SYMTYPE, "/bin")), skip=()).digest
    outcome, _ = sandbox.run("true", layers=(layer,))
    assert outcome.failure
    assert (outcome.status, outcome.failure.reason) == ("failed", "bad-root")


@pytest.mark.parametrize("target", ["/bin/busybox", "nowhere", "../../../../etc/passwd"])
def test_root_with_links_in_etc(sandbox: Bench, target: str) -> None:
    members = [(f"etc/{name}", tarfile.SYMTYPE, target) for name in ("hosts", "resolv.conf", "hostname")]
    layer = sandbox.store.import_layer(_archive(*members)).digest
    outcome, _ = sandbox.run("true", layers=(layer,))
    assert outcome.status in ("ok", "failed")
    assert Path("/etc/passwd").read_text().startswith("root:")


def test_enter(sandbox: Bench) -> None:
    outcome, _ = sandbox.run("echo x >/made; exit 1")
    assert outcome.failure
    assert outcome.failure.root
    job = Job(layers=(sandbox.base,), env=(("A", "b"),))
    upper = outcome.failure.root
    script = "test -t 0 && [ $(cat /made) = x ] && [ $A = b ] && [ $PWD = /luetbuild ] && echo y >/also && exit 33"
    pid, terminal = pty.fork()
    if pid == 0:
        os._exit(enter(job, sandbox.store, upper, ("/bin/sh", "-c", script)))
    output = b""
    while True:
        try:
            output += os.read(terminal, 1000) or b""
        except OSError:
            break
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 33, output
    assert (upper / "also").read_text() == "y\n"


def test_interactive_shell(sandbox: Bench) -> None:
    """A shell with job control answers what is typed, and Ctrl-C reaches its program only."""
    job = Job(layers=(sandbox.base,))
    outcome, _ = sandbox.run("exit 1")
    assert outcome.failure
    assert outcome.failure.root
    pid, terminal = pty.fork()
    if pid == 0:
        os._exit(enter(job, sandbox.store, outcome.failure.root))
    seen = _converse(
        terminal, [(b"#", b"sleep 500\n"), (b"sleep 500", b"\x03"), (b"#", b"echo a$((1+1))\n"), (b"a2", b"exit 4\n")]
    )
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 4, seen
    assert b"job control turned off" not in seen


def _converse(terminal: int, turns: list[tuple[bytes, bytes]]) -> bytes:
    seen = b""
    position = 0
    for expected, answer in turns:
        while expected not in seen[position:]:
            seen += os.read(terminal, 1000)
        position = len(seen)
        time.sleep(0.2)
        os.write(terminal, answer)
    try:
        while data := os.read(terminal, 1000):
            seen += data
    except OSError:
        pass
    return seen


_KILLED = """
import os, signal, sys
from farm.runner.sandbox import probe
fork = os.fork
def killed(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def child_killed():
    child = fork() or signal.pause()
    os.kill(child, signal.SIGKILL)
    return child
if sys.argv[2] == "itself":
    probe._try_proc = killed
else:
    os.fork = child_killed
sys.exit(probe.try_out(sys.argv[1]))
"""


@pytest.mark.parametrize("times", [1, 5])
def test_a_trial_that_is_killed_is_made_anew(monkeypatch: pytest.MonkeyPatch, sandbox: Bench, times: int) -> None:
    """When its overlay is mounted, which its folder does not take twice; the trial itself, or its child."""
    real, tried = probe.spawner_command, []

    def command(*words: str) -> list[str]:
        tried.append(words)
        if len(tried) > times:
            return real(*words)
        who = "itself" if len(tried) % 2 else "child"
        return [sys.executable, "-c", _KILLED, words[-1], who]

    monkeypatch.setattr(probe, "spawner_command", command)
    monkeypatch.chdir(_SOURCE)
    if times == 1:
        probe.probe()
    else:
        with pytest.raises(FarmError) as caught:
            probe.probe()
        assert (caught.value.code, "was killed" in str(caught.value)) == ("sandbox-unavailable", True)


def test_filter_has_a_rule_for_each_call() -> None:
    program = privileges.filter_program(abis())
    assert len(program) % 8 == 0
    assert len(program) // 8 < 256


def test_unknown_runner() -> None:
    with pytest.raises(FarmError) as caught:
        registry.get_runner("no-such")
    assert caught.value.code == "unknown-runner"


def test_registry_gives_the_sandbox() -> None:
    made: Runner = registry.get_runner("sandbox")
    assert made.name == "sandbox"
    made.close()
