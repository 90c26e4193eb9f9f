# SPDX-License-Identifier: GPL-3.0-or-later
"""Control groups of jobs, one for each: limits and counts of memory and processes. cgroup v1 and v2.

They lie in ``farm/STORE/PID-START-NUMBER`` below the hierarchy's root, or, where that may not be written, below
the highest group above the farm's own that may (a delegated one). The pid and start time are the farm's, which holds a
lock on the folder as long as it lives: what a dead farm left is removed by the next. The pid alone tells nothing to a
farm in another container. Files: Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import functools
import itertools
import os
from pathlib import Path

from farm.spec.problem import Problem, error

CONTROLLERS = ("memory", "pids")
_FOLDER = "farm"
_TRIES = 100
_numbers = itertools.count()


@dataclasses.dataclass(frozen=True, slots=True)
class Hierarchy:
    """Where one controller's groups of this farm may be made. ``version`` is 1 or 2."""

    controller: str
    version: int
    base: Path


@functools.cache
def hierarchies() -> dict[str, Hierarchy]:
    """By controller; one that is missing cannot be used here, for want of rights or of the controller."""
    found = {}
    for controller in CONTROLLERS:
        base = _base_v1(controller)
        version = 1
        if base is None:
            base, version = _base_v2(controller), 2
        if base is not None:
            found[controller] = Hierarchy(controller, version, base)
    return found


def shortfall() -> Problem | None:
    """For `farm doctor`: a warning when jobs cannot be limited as a whole on this host, and what to do."""
    missing = [name for name in CONTROLLERS if name not in hierarchies()]
    if not missing:
        return None
    what = f"no control group for {' and '.join(missing)}: limits hold for each process of a job, not for all together"
    hint = "As an ordinary user, start the farm with: systemd-run --user --scope -p Delegate=yes farm …"
    return Problem("no-cgroups", what, hint=hint, severity="warning")


@dataclasses.dataclass(frozen=True, slots=True)
class JobGroup:
    """The groups of one job, by controller; several may be the same folder (v2). ``locks`` are open files."""

    folders: dict[str, Hierarchy]
    locks: tuple[int, ...] = ()

    @property
    def process_files(self) -> tuple[str, ...]:
        """Files into which a process of one thread writes 0 to join.

        In version 1 that is ``tasks``: the kernel moves the caller alone without waiting for all other processors,
        which ``cgroup.procs`` costs several milliseconds (``cgroup_procs_write_start`` in kernel/cgroup/cgroup.c).
        """
        names = {1: "tasks", 2: "cgroup.procs"}
        return tuple(dict.fromkeys(str(h.base / names[h.version]) for h in self.folders.values()))

    def limit(self, memory: int | None, processes: int) -> None:
        """Sets limits, in bytes (no swap beyond) and tasks; without the controller: nothing."""
        if "pids" in self.folders:
            (self.folders["pids"].base / "pids.max").write_text(str(processes))
        group = self.folders.get("memory")
        if group is None or memory is None:
            return
        names = ("memory.max", "memory.swap.max") if group.version == 2 else _V1_LIMITS
        (group.base / names[0]).write_text(str(memory))
        swap = 0 if group.version == 2 else memory
        with contextlib.suppress(OSError):
            (group.base / names[1]).write_text(str(swap))

    def memory_peak(self) -> int | None:
        """Most memory ever used at once, in bytes; None: not known."""
        group = self.folders.get("memory")
        if group is None:
            return None
        name = "memory.peak" if group.version == 2 else "memory.max_usage_in_bytes"
        try:
            return int((group.base / name).read_text())
        except (OSError, ValueError):
            return None

    def memory_kills(self) -> int:
        """How many processes the kernel has killed because memory ran out."""
        group = self.folders.get("memory")
        if group is None:
            return 0
        name = "memory.events" if group.version == 2 else "memory.oom_control"
        try:
            words = (group.base / name).read_text().split()
        except OSError:
            return 0
        return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0

    def remove(self) -> None:
        """Removes the groups, whose processes have all ended. What stays busy is for `sweep`."""
        for group in self.folders.values():
            _try_remove(group.base)
        for lock in self.locks:
            os.close(lock)


_V1_LIMITS = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")


def new_group(store: str) -> JobGroup:
    """Makes the groups for one more job; ``store`` names the store. FarmError ``cgroup-failed``."""
    name = f"{os.getpid()}-{_start_of(os.getpid())}-{next(_numbers)}"
    folders: dict[str, Hierarchy] = {}
    locks: dict[Path, int] = {}
    try:
        for controller, hierarchy in hierarchies().items():
            folder = hierarchy.base / store / name
            if folder not in locks:
                locks[folder] = _make_locked(folder, hierarchy)
            folders[controller] = dataclasses.replace(hierarchy, base=folder)
    except OSError as problem:
        JobGroup(folders, tuple(locks.values())).remove()
        raise error("cgroup-failed", f"cannot make a control group: {problem}", transient=True) from problem
    return JobGroup(folders, tuple(locks.values()))


def sweep() -> None:
    """Removes the groups of farms that have died, and those of stores that nobody uses now."""
    for base in {h.base for h in hierarchies().values()}:
        for store in _below(base):
            for folder in _below(store):
                if folder.match("*-*-*"):
                    _remove_if_dead(folder)
            _try_remove(store)
        _try_remove(base)


def _below(folder: Path) -> list[Path]:
    """The groups in a group; none when it is not there, or somebody removes it meanwhile."""
    try:
        with os.scandir(folder) as entries:
            return [Path(entry) for entry in entries if entry.is_dir()]
    except OSError:
        return []


def _make_locked(folder: Path, hierarchy: Hierarchy) -> int:
    """Makes a group and holds it. Others that end or start meanwhile remove what seems unused: then it is made anew."""
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            _make(folder, hierarchy)
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if folder.exists():
                return lock
            os.close(lock)
    raise FileNotFoundError(errno.ENOENT, "it is removed again and again", str(folder))


def _remove_if_dead(folder: Path) -> None:
    pid, start, _ = folder.name.split("-", 2)
    if not pid.isdigit() or _start_of(int(pid)) != start:
        _remove_unlocked(folder)


def _remove_unlocked(folder: Path) -> None:
    """Removes a group that no farm holds, wherever that one runs."""
    with contextlib.suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder.rmdir()
        finally:
            os.close(lock)


def _try_remove(folder: Path) -> None:
    """A group that has members or groups below it stays."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def _make(folder: Path, hierarchy: Hierarchy) -> None:
    """The folder with its parents; in v2 each level has to hand the controller down."""
    if folder.exists():
        return
    levels = [hierarchy.base, folder.parent]
    for level in levels:
        level.mkdir(parents=True, exist_ok=True)
        if hierarchy.version == 2:
            for controller in CONTROLLERS:
                _enable(level, controller)
    folder.mkdir(exist_ok=True)


def _enable(level: Path, controller: str) -> bool:
    if controller in (level / "cgroup.subtree_control").read_text().split():
        return True
    try:
        (level / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError:
        return False
    return True


def _start_of(pid: int) -> str:
    """A process's start time, in clock ticks since boot; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


def _mounts(kind: str) -> list[tuple[Path, str]]:
    """Mount points of a file system type, with the file system's own options."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        name, _, options = right.split(" ", 2)
        if name == kind:
            found.append((Path(left.split()[4]), options))
    return found


def _base_v1(controller: str) -> Path | None:
    for point, options in _mounts("cgroup"):
        if controller in options.split(","):
            base = point / _FOLDER
            return base if os.access(base if base.exists() else point, os.W_OK) else None
    return None


def _base_v2(controller: str) -> Path | None:
    for point, _ in _mounts("cgroup2"):
        for level in reversed((point / _own_v2() / "x").parents):
            if level.is_relative_to(point) and _offers(level, controller):
                return level / _FOLDER
    return None


def _own_v2() -> str:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        if line.startswith("0::/") and ".." not in line:
            return line[len("0::/") :]
    return ""


def _offers(level: Path, controller: str) -> bool:
    """Whether groups with this controller can be made below ``level`` and processes be moved there."""
    try:
        offered = controller in (level / "cgroup.controllers").read_text().split()
    except OSError:
        return False
    writable = os.access(level, os.W_OK) and os.access(level / "cgroup.procs", os.W_OK)
    return offered and writable and _hands_down(level, controller)


def _hands_down(level: Path, controller: str) -> bool:
    """A delegated group with processes hands nothing down: if they are only the farm's, they make room."""
    if _enable(level, controller):
        return True
    members = (level / "cgroup.procs").read_text().split()
    if members != [str(os.getpid())]:
        return False
    own = level / "farm-main"
    own.mkdir(exist_ok=True)
    (own / "cgroup.procs").write_text(members[0])
    return _enable(level, controller)
