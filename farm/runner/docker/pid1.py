# SPDX-License-Identifier: GPL-3.0-or-later
"""The first process of a job's container: a script for the root's own ``/bin/sh``, and what it reports.

One container runs all commands of a job, because a start costs a hundred times a fork. The script uses
nothing but what POSIX has built into the shell: ``/bin/sh`` is all that a root is sure to have.

The farm shares the folder `SHARE` with the script: the ``script`` itself, a FIFO ``log`` for all output, a FIFO
``go`` that holds the script back until the farm has tidied up the container (`farm.runner.docker.settle`),
and the file ``status``, which gets a line as each command starts and as it ends. When the script goes
on, the folder is no longer mounted: commands see nothing of it.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import shlex
from collections.abc import Mapping
from pathlib import Path

SHARE = "/dev/farm"
"""Where the shared folder is mounted while the container starts. Docker makes /dev anew for each container."""

_OPEN_FILES = (1024, 524288)
"""Soft and hard limit, as the sandbox sets them. The engine's own may be lower, and then stay."""

_CGROUP = "/sys/fs/cgroup"
_LONGEST = 32 * 4096
"""Bytes that one argument of a program may have (the kernel's MAX_ARG_STRLEN), the final NUL included."""

# The counts of memory and processor time are opened early because /sys is hidden from the commands.
# Nothing may ever be written by this shell itself to the log: some report which signal killed a child.
_BEGIN = f"""\
exec </dev/null >{SHARE}/log 2>/dev/null 3>>{SHARE}/status 4</dev/null 5</dev/null 6</dev/null
for _farm_file in memory.peak memory/memory.max_usage_in_bytes; do
  if [ -r "{_CGROUP}/$_farm_file" ]; then exec 4<"{_CGROUP}/$_farm_file"; fi
done
for _farm_file in memory.events memory/memory.oom_control; do
  if [ -r "{_CGROUP}/$_farm_file" ]; then exec 5<"{_CGROUP}/$_farm_file"; fi
done
for _farm_file in cpu.stat cpuacct/cpuacct.usage cpu,cpuacct/cpuacct.usage; do
  if [ -r "{_CGROUP}/$_farm_file" ]; then exec 6<"{_CGROUP}/$_farm_file"; fi
done
read -r _farm_go <{SHARE}/go || exit 125
umask 022
ulimit -S -n {_OPEN_FILES[0]}
ulimit -H -n {_OPEN_FILES[1]}
"""

# `kill -9 -1` spares pid 1 alone and fails when nobody is left; each subshell lets the shell bury orphans.
# Variables carry names that no job exports, else commands would get what is assigned to them here.
_RUN = """\
for _farm_step do
  echo start >&3
  cd "$_farm_folder" || { echo no-workdir >&3; break; }
  [ -x /bin/sh ] || { echo no-shell >&3; break; }
  (unset PWD OLDPWD; exec /bin/sh -c "$_farm_step" 2>&1 3>&- 4<&- 5<&- 6<&-)
  _farm_code=$?
  while kill -9 -1; do (:); done
  echo "end $_farm_code" >&3
  [ "$_farm_code" = 0 ] || break
done
while read -r _farm_line; do echo "peak $_farm_line" >&3; done <&4
while read -r _farm_line; do echo "$_farm_line" >&3; done <&5
while read -r _farm_line; do echo "$_farm_line" >&3; done <&6
echo done >&3
"""

COMMAND = ["/bin/sh", f"{SHARE}/script"]
"""The container's first process."""


def script(workdir: str, commands: tuple[str, ...], env: Mapping[str, str]) -> bytes:
    """The text of the script that runs ``commands`` with the environment ``env``."""
    not_ours = [name for name in ("SHLVL", "HOSTNAME") if name not in env]
    lines = [
        f"unset {' '.join(['PWD', *not_ours])}",
        *(f"export {name}={shlex.quote(value)}" for name, value in env.items() if not _can_travel(value)),
        f"_farm_folder={shlex.quote(workdir)}",
        shlex.join(["set", "--", *runnable(commands)]),
    ]
    return os.fsencode(_BEGIN + "\n".join(lines) + "\n" + _RUN)


def environment(env: Mapping[str, str]) -> list[str]:
    """What the engine itself sets, as ``NAME=value``. It adds HOSTNAME, which the script takes out again."""
    return [f"{name}={value}" for name, value in env.items() if _can_travel(value)]


def runnable(commands: tuple[str, ...]) -> tuple[str, ...]:
    """The commands before the first that is too long to be one argument of a shell."""
    return tuple(itertools.takewhile(lambda text: len(os.fsencode(text)) < _LONGEST, commands))


def _can_travel(value: str) -> bool:
    """Whether the engine's JSON can carry a value: it has to be UTF-8."""
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """How far the script came.

    ``command``: the last one started (-1: none); ``code``: its exit code (None: it did not end);
    ``refused``: why it could not be started; ``cpu`` in seconds and ``peak`` in bytes of all commands;
    ``kills``: how many processes the kernel has killed for want of memory; ``done``: it came to its end.
    """

    command: int = -1
    code: int | None = None
    refused: str | None = None
    cpu: float = 0.0
    peak: int = 0
    kills: int = 0
    done: bool = False


def read_report(status: Path, commands: tuple[str, ...]) -> Report:
    """Reads the script's ``status`` file. A job may write to it too and can spoil its own report, no more."""
    report = Report()
    for line in status.read_text(errors="replace").splitlines():
        report = _take(report, line)
    left = len(runnable(commands))
    if report.done and left < len(commands) and report.code in (0, None) and not report.refused:
        return dataclasses.replace(report, command=left, code=None, refused="too-long")
    return report


def _take(report: Report, line: str) -> Report:
    match line.split():
        case ["start"]:
            return dataclasses.replace(report, command=report.command + 1, code=None)
        case ["end", code] if code.isdigit():
            return dataclasses.replace(report, code=int(code))
        case ["no-workdir" | "no-shell" as why]:
            return dataclasses.replace(report, refused=why)
        case ["peak", size] if size.isdigit():
            return dataclasses.replace(report, peak=int(size))
        case ["oom_kill", number] if number.isdigit():
            return dataclasses.replace(report, kills=int(number))
        case ["done"]:
            return dataclasses.replace(report, done=True)
        case ["usage_usec", time] if time.isdigit():
            return dataclasses.replace(report, cpu=int(time) / 1e6)
        case [nanoseconds] if nanoseconds.isdigit():
            return dataclasses.replace(report, cpu=int(nanoseconds) / 1e9)
    return report
