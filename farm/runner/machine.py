# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a root is of the machine that its job says, and what an emulator's own faults look like. For all runners."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from farm.plan.job import Job
from farm.runner import binfmt
from farm.runner.protocol import Failure
from farm.spec.platform import MACHINES, host_platform, is_program, of_elf, runs_programs_of
from farm.spec.problem import FarmError, error
from farm.store.entry import FILE
from farm.store.union import Union

SHELL = b"bin/sh"
_LOOKED_AT = 256
"""Bytes at the beginning of a file that the kernel looks at (``BINPRM_BUF_SIZE``)."""

_SCRIPTS = 5
"""How deep scripts may be the interpreters of scripts, as the kernel has it."""

_TAIL = 4096
"""Bytes at the end of a log in which an emulator's last words are looked for."""

_SIGNALS = {132: "illegal instruction", 139: "segmentation fault"}
"""Exit statuses that a shell gives for a program killed by SIGILL or SIGSEGV."""

# QEMU tells of a signal only where core dumps are written, which is nowhere in a job; the program that started the
# one that was killed tells of it.
_LAST_WORDS = (
    re.compile(r"qemu: uncaught target signal \d+ \([^)\n]*\)"),
    re.compile(r"qemu: [Uu]nsupported syscall: -?\d+"),
    re.compile(r"qemu: unhandled CPU exception 0x[0-9a-f]+"),
    re.compile(r"qemu: fatal: [^\n]*"),
    re.compile(r"QEMU internal SIG(?:SEGV|ILL|BUS|FPE|ABRT)[^\n]*"),
    re.compile(r"qemu-[a-z0-9_]+(?:-static)?: [^\n]*(?:[Aa]ssertion|Unable to reserve|guest_base)[^\n]*"),
    re.compile(r"ERROR:[^\n]*(?:tcg|translate|linux-user)[^\n]*: (?:assertion failed|code should not be)[^\n]*"),
    re.compile(r"terminated with signal (?:4|11) \[[^\]\n]*\]"),
    re.compile(r"killed by signal \((?:Segmentation fault|Illegal instruction)\)"),
    # As shells, make and gcc tell of it: alone on its line, or behind who it was. Programs talk of such faults, too.
    re.compile(
        r"^(?:[^\n]*(?:[:\]]|[ \t]\d+)[ \t]+)?"
        r"(?P<words>(?:Segmentation fault|Illegal instruction)"
        r"(?: signal terminated program [^\n]*|[ \t]*\(core dumped\)[^\n]*|[ \t]{2,}[^\n]*|))[ \t\r]*$",
        re.MULTILINE,
    ),
)


def check_root(job: Job, lowers: Sequence[Path]) -> None:
    """FarmError when the job has commands that could not run in the root of these layers: as `check_machine`."""
    if job.commands:
        check_machine(job.platform, lowers)


def check_machine(platform: str, lowers: Sequence[Path]) -> None:
    """FarmError when programs could not run in the root of these layers, lowest first.

    ``wrong-machine``: its shell is of another machine than ``platform``. Else, transient, what keeps this host from
    running programs of that, as `farm.runner.binfmt.obstacle` has it. A root without a shell is the runner's.
    """
    header = _shell(lowers)
    if not is_program(header):
        return
    found = of_elf(header)
    if platform in MACHINES and (found is None or not runs_programs_of(platform, found)):
        raise _wrong_machine(platform, found)
    if problem := binfmt.obstacle(platform):
        raise error(problem.code, problem.message, hint=problem.hint, transient=True)


def _wrong_machine(wanted: str, found: str | None) -> FarmError:
    root = f"of {found}" if found else "of a machine that the farm does not know"
    hint = f"take a base root of {wanted}"
    hint = f"build with --platform {found}, or {hint}" if found else hint
    message = f"the root is {root}: its /bin/sh is no program of {wanted}, which the job is for"
    return error("wrong-machine", message, hint=hint)


def shell_platform(lowers: Sequence[Path]) -> str | None:
    """The platform of the root's ``/bin/sh``; None when that is no program, or of a machine that is not known."""
    return of_elf(_shell(lowers))


def _shell(lowers: Sequence[Path]) -> bytes:
    """The beginning of the program that the root's ``/bin/sh`` is run by: of a script, of its interpreter."""
    with Union(lowers) as union:
        path = SHELL
        for _ in range(_SCRIPTS):
            content = _beginning(union, path)
            if not content.startswith(b"#!"):
                return content
            words = content[2:].partition(b"\n")[0].split()
            path = words[0].lstrip(b"/") if words else b""
    return b""


def _beginning(union: Union, path: bytes) -> bytes:
    """The first bytes of a file of the root; none when it is not there, or is no file."""
    try:
        place = union.resolve(path)
    except FarmError:
        return b""
    entry = union.entry(place) if place else None
    if not place or entry is None or entry.kind != FILE:
        return b""
    with open(union.lookup(place)[0].entry(place), "rb") as file:
        return file.read(_LOOKED_AT)


def is_emulated(platform: str) -> bool:
    """Whether programs of a platform need an emulator here."""
    return platform != host_platform() and platform not in binfmt.native_platforms()


def emulator_fault(job: Job, failure: Failure | None, log: Path) -> str | None:
    """What the emulator said before the job failed, with what to do; None: it said nothing of itself."""
    if failure is None or not is_emulated(job.platform):
        return None
    words = last_words(log)
    words = words or _SIGNALS.get(failure.exit_code or 0)
    if words is None:
        return None
    machine = MACHINES.get(job.platform)
    emulator = f"qemu-{machine.qemu}" if machine else "the emulator"
    return (
        f"{emulator} could not go on (exit status {failure.exit_code}): {words}. This may be the emulator's fault and "
        "not the build's: fewer cores (resources: {cores: 1}), a cross build (cross: true), or a runner of "
        f"{job.platform} may help"
    )


def last_words(log: Path) -> str | None:
    """What an emulator, or a program that told of another's crash, said at the end of a log."""
    with open(log, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
        text = file.read().decode(errors="replace")
    found = (list(pattern.finditer(text)) for pattern in _LAST_WORDS)
    return next((matches[-1][matches[-1].lastgroup or 0] for matches in found if matches), None)
