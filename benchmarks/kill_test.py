# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills ``farm build`` with SIGKILL at random moments, again and again, and checks that nothing is the worse for it.

What is killed is the farm alone (half the time), all its processes at once, or one of its helpers, which it has to get
over by itself. After each kill: no process, mount or container of that farm is left; now and then the store is verified
then and there, and sometimes that is killed, too. A build is started again on the same store until it gets through;
then the store verifies, its packages equal those of an undisturbed run, and no control group is left. Then the next
store, until there were enough kills. Exit status 0 when all of that held.

    python benchmarks/kill_test.py [--kills 40] [--runner sandbox] [--seed 1] [--folder DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import io
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

FARM = (sys.executable, "-c", "from farm.cli.main import main; main()")
HERE = Path(__file__).resolve().parents[1]
TOOLS = ("sh", "cat", "mkdir", "rm", "seq", "sleep")
MARK = "FARM_KILL_TEST"
PATIENCE = 10.0
BASE = """\
image: file://{root}
steps:
- mkdir -p /data && seq 1 20000 > /data/base && sleep 0.1
- sleep 100 & rm -f /data/none
"""
MIDDLE = """\
requires:
- {{category: kill, name: base, version: ">=0"}}
prelude:
- seq 1 500 > /prelude-{name}
steps:
- sleep 0.1; for n in 1 2 3 4 5 6 7 8; do mkdir -p /data/{name}/$n && cat /data/base > /data/{name}/$n/file; done
- cat spec.txt > /data/{name}/spec && rm /prelude-{name}
"""
TOP = """\
requires:
{requires}
steps:
- cat /data/*/spec > /data/top && sleep 0.1 && rm -r /data/m0
"""


@dataclasses.dataclass
class Report:
    """What was seen. ``left`` names everything that a kill left behind; it has to stay empty, as ``problems``."""

    undisturbed: float = 0.0
    kills: int = 0
    helpers: int = 0
    verified: int = 0
    completed: int = 0
    rounds: int = 0
    slowest_end: float = 0.0
    left: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"undisturbed run            {self.undisturbed:.2f} s",
            f"kills                      {self.kills} in {self.rounds} stores",
            f"of a helper alone          {self.helpers}",
            f"verified after a kill      {self.verified}",
            f"runs that got through      {self.completed}",
            f"all gone after at most     {self.slowest_end:.2f} s",
            f"left behind                {len(self.left)}",
            f"problems                   {len(self.problems)}",
        ]
        return "\n".join([*lines, *self.left, *self.problems])


@dataclasses.dataclass(frozen=True)
class Place:
    """Where everything is, and how farms are called there."""

    folder: Path
    runner: str

    def command(self, store: Path, *words: str) -> list[str]:
        """A farm's command line on one store."""
        return [*FARM, *words, "--store", str(store)]

    def build(self, store: Path) -> list[str]:
        """``farm build`` of everything."""
        tree, packages = str(self.folder / "tree"), str(store.with_suffix(".packages"))
        options = ("--tree", tree, "--all", "--jobs", "2", "--runner", self.runner, "--destination", packages, "--json")
        return self.command(store, "build", *options)

    @property
    def environment(self) -> dict[str, str]:
        """The environment, with a mark by which the farm's helper processes are found."""
        home = {"HOME": str(self.folder / "home"), "XDG_CONFIG_HOME": str(self.folder / "home")}
        return {**os.environ, **home, MARK: str(self.folder), "PYTHONPATH": str(HERE)}


def make_root(path: Path) -> None:
    """A root tarball of the host's shell and a few tools, with the libraries they need."""
    programs = [Path(found) for name in TOOLS if (found := shutil.which(name))]
    words = [word for program in programs for word in _output("ldd", str(program)).split()]
    libraries = {Path(word) for word in words if word.startswith("/")}
    with tarfile.open(path, "w") as tar:
        for program in programs:
            _add(tar, f"bin/{program.name}", program.read_bytes())
        for library in sorted(libraries):
            _add(tar, str(library)[1:], library.read_bytes())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode, entry.size = 0o755, len(content)
    tar.addfile(entry, io.BytesIO(content))


def _output(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def make_tree(folder: Path, root: Path, middles: int = 6) -> None:
    """A tree of a base, some packages on it, and one on top of all."""
    names = [f"m{number}" for number in range(middles)]
    requires = "\n".join(f'- {{category: kill, name: {name}, version: ">=0"}}' for name in names)
    builds = {"base": BASE.format(root=root), "top": TOP.format(requires=requires)}
    builds |= {name: MIDDLE.format(name=name) for name in names}
    for name, build in builds.items():
        package = folder / name
        package.mkdir(parents=True)
        (package / "definition.yaml").write_text(f'category: kill\nname: {name}\nversion: "1.0"\n')
        (package / "build.yaml").write_text(build)
        (package / "spec.txt").write_text(f"{name}\n")


def digests(store: Path) -> dict[str, str]:
    """The sha256 of each package file that was delivered."""
    files = sorted(store.with_suffix(".packages").glob("*.package.tar*"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def traces(place: Path) -> list[str]:
    """Processes and mounts that belong to farms working in ``place``."""
    found = [f"mount {line}" for line in _mounts("self", place)]
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            found += _process(folder, place)
    return found


def _process(folder: Path, place: Path) -> Iterator[str]:
    try:
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        if is_marked(folder, place) or _mounts(folder.name, place):
            yield f"process {folder.name} {command[:200]}"
    except OSError:
        return


def _mounts(pid: str, place: Path) -> list[str]:
    try:
        lines = Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
    except OSError:
        return []
    return [line for line in lines if str(place) in line]


def containers() -> list[str]:
    """Containers that a farm's docker runner made."""
    found = _output("docker", "ps", "-aq", "--filter", "label=farm.run").split()
    return [f"container {name}" for name in found]


def groups(store: Path) -> list[str]:
    """Control groups of jobs on this store (`farm.runner.cgroup` names them)."""
    name = hashlib.sha256(os.fsencode(store.resolve())).hexdigest()[:12]
    return [f"control group {path}" for path in Path("/sys/fs/cgroup").glob(f"**/farm/{name}/*/")]


def wait_until_gone(place: Place, report: Report) -> None:
    """Waits, not for long, until nothing of the killed farm is left; notes what is left all the same."""
    began = time.monotonic()
    while left := traces(place.folder) + (containers() if place.runner == "docker" else []):
        if time.monotonic() - began > PATIENCE:
            report.left += [f"kill {report.kills}: {trace}" for trace in left]
            return
        time.sleep(0.02)
    report.slowest_end = max(report.slowest_end, time.monotonic() - began)


def kill_once(place: Place, store: Path, after: float, report: Report, luck: random.Random) -> bool:
    """Starts a build and kills it, or some of it, ``after`` seconds. Whether it got through."""
    with open(place.folder / "output", "wb") as output:
        farm = subprocess.Popen(
            place.build(store), env=place.environment, stdout=output, stderr=output, start_new_session=True
        )
        status: int | None
        try:
            status = farm.wait(after)
        except subprocess.TimeoutExpired:
            report.kills += 1
            status = kill_some(place, farm, report, luck)
            wait_until_gone(place, report)
            if status is None:
                return False
    report.completed += 1
    if status:
        report.problems.append(f"a run ended with status {status}: {(place.folder / 'output').read_text()[-2000:]}")
    return True


def kill_some(place: Place, farm: subprocess.Popen[bytes], report: Report, luck: random.Random) -> int | None:
    """Kills the farm, or all of it, or one of its helpers. The farm's status when it has outlived that, else None."""
    way = luck.choice(("farm", "farm", "all", "helper"))
    helpers = [] if way == "farm" else marked(place, farm.pid)
    if way == "helper" and helpers:
        report.helpers += 1
        kill(luck.choice(helpers))
        return farm.wait(600)
    for process in (farm.pid, *helpers):
        kill(process)
    farm.wait()
    return None


def kill(process: int) -> None:
    """Kills a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def marked(place: Place, but: int) -> list[int]:
    """Processes with the mark, but that one: helpers of the farm, not what a job runs."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and int(folder.name) != but and is_marked(folder, place.folder):
                found.append(int(folder.name))
    return found


def is_marked(process: Path, folder: Path) -> bool:
    """Whether a process (in /proc) has the mark of farms that work in ``folder``. Raises OSError."""
    return f"{MARK}={folder}".encode() in (process / "environ").read_bytes().split(b"\0")


def verify(place: Place, store: Path, report: Report, luck: random.Random) -> None:
    """Verifies a store that a kill has left; half the time that is killed, too."""
    command = place.command(store, "verify")
    farm = subprocess.Popen(command, env=place.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    with farm:
        if luck.random() < 0.5:
            with contextlib.suppress(subprocess.TimeoutExpired):
                farm.wait(luck.uniform(0.0, report.undisturbed))
            farm.kill()
        said = farm.communicate()[0].decode()
    report.verified += 1
    if farm.returncode not in (0, -signal.SIGKILL):
        report.problems.append(f"{store.name}: after kill {report.kills} the store does not verify: {said}")


def finish(place: Place, store: Path, expected: dict[str, str], report: Report) -> None:
    """Checks a store on which a build got through."""
    again = subprocess.run(place.build(store), env=place.environment, capture_output=True, text=True, check=False)
    if again.returncode or _ran(again.stdout):
        report.problems.append(f"{store.name}: a run on a finished store ran something: {again.stdout[-500:]}")
    if digests(store) != expected:
        report.problems.append(f"{store.name}: packages differ: {digests(store)} instead of {expected}")
    sound = subprocess.run(
        place.command(store, "verify"), env=place.environment, capture_output=True, text=True, check=False
    )
    if sound.returncode:
        report.problems.append(f"{store.name}: the store does not verify: {sound.stdout}{sound.stderr}")
    twice = made_twice(store)
    if twice:
        report.problems.append(f"{store.name}: made more than once: {twice}")
    left = (store / "tmp").glob("*/*")
    report.left += [f"{store.name}: {trace}" for trace in (*left, *groups(store), *traces(place.folder))]


def made_twice(store: Path) -> list[str]:
    """Nodes that were made anew although a run before, or beside, had made them."""
    with contextlib.closing(sqlite3.connect(store / "journal.db")) as journal:
        sql = "SELECT min(node) FROM executions WHERE status = 'ok' GROUP BY key HAVING count(*) > 1"
        return [node for (node,) in journal.execute(sql)]


def _ran(output: str) -> bool:
    events = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return any(event.get("event") == "node-started" for event in events)


def kill_test(folder: Path, kills: int, runner: str, seed: int) -> Report:
    """The whole test in an empty folder."""
    place, report, luck = Place(folder, runner), Report(), random.Random(seed)
    (folder / "home").mkdir()
    make_root(folder / "root.tar")
    make_tree(folder / "tree", folder / "root.tar")
    calm = folder / "calm"
    began = time.monotonic()
    subprocess.run(place.build(calm), env=place.environment, check=True, stdout=subprocess.DEVNULL)
    report.undisturbed = time.monotonic() - began
    expected = digests(calm)
    assert len(expected) == 8, expected
    while report.kills < kills:
        report.rounds += 1
        store = folder / f"store{report.rounds}"
        while report.kills < kills and not kill_once(place, store, luck.uniform(0.0, report.undisturbed), report, luck):
            if luck.random() < 0.25:
                verify(place, store, report, luck)
        while not kill_once(place, store, 600, report, luck):
            pass
        finish(place, store, expected, report)
    return report


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--runner", default="sandbox")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="an empty folder to work in, which is kept")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="farm-kill-"))
    folder.mkdir(exist_ok=True)
    report = kill_test(folder.resolve(), options.kills, options.runner, options.seed)
    print(report)
    good = not report.left and not report.problems
    if good and not options.folder:
        shutil.rmtree(folder)
    else:
        print(f"everything is in {folder}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
