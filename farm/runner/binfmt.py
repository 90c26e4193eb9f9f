# SPDX-License-Identifier: GPL-3.0-or-later
"""How this host runs programs of other machines: the kernel's binfmt_misc and QEMU's user emulators.

An entry has to have three flags (Linux: Documentation/admin-guide/binfmt-misc.rst): ``F``, the emulator is opened when
it is registered, so that it is there in any root; ``C``, a set-id program gets its rights; ``O`` comes with ``C``.
Magic and mask are those of QEMU's scripts/qemu-binfmt-conf.sh. As a program (``python -m farm.runner.binfmt``) it
registers what is missing, and replaces entries with wrong flags.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from farm.runner.program import beginning, smallest_program
from farm.spec.platform import MACHINES, host_platform
from farm.spec.problem import FarmError, Problem

FOLDER = Path("/proc/sys/fs/binfmt_misc")
NEEDED = "OCF"
MEND = "ci/host-setup --arm"
PLATFORMS = ("linux/arm64", "linux/arm/v7")
"""What `MEND` sets up."""

_MASK = bytes.fromhex("ffffffffffffff00fffffffffffffffffeffffff")
_ALIVE = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One registered format. ``magic`` and ``mask`` are as long as each other, at ``offset`` of a file."""

    name: str
    enabled: bool
    interpreter: str
    flags: str
    magic: bytes = b""
    mask: bytes = b""
    offset: int = 0

    def takes(self, content: bytes) -> bool:
        """Whether a file that begins with ``content`` would be run by this."""
        part = content[self.offset : self.offset + len(self.magic)]
        return bool(self.magic) and len(part) == len(self.magic) and _masked(part, self.mask) == self.magic


def read_entry(name: str, text: str) -> Entry:
    """An entry as the kernel shows it in ``binfmt_misc/NAME``."""
    words = dict(line.partition(" ")[::2] for line in text.splitlines())
    magic = bytes.fromhex(words.get("magic", ""))
    mask = bytes.fromhex(words["mask"]) if words.get("mask") else b"\xff" * len(magic)
    enabled, flags = "enabled" in words, words.get("flags:", "")
    return Entry(name, enabled, words.get("interpreter", ""), flags, _masked(magic, mask), mask, _offset(words))


def entries(folder: Path = FOLDER) -> list[Entry]:
    """All registered formats in the order in which the kernel tries them: as it lists them, the latest first."""
    found = []
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name not in ("register", "status"):
                with contextlib.suppress(OSError, ValueError):
                    found.append(read_entry(path.name, path.read_text(errors="replace")))
    return found


@functools.cache
def runs(platform: str) -> bool:
    """Whether the smallest program for ``platform`` runs here, by whatever means."""
    program = smallest_program(platform)
    if program is None:
        return platform == host_platform()
    try:
        handle = os.memfd_create("farm-probe")
        os.write(handle, program)
        with contextlib.closing(os.fdopen(handle)):
            done = subprocess.run([f"/proc/self/fd/{handle}"], pass_fds=[handle], capture_output=True, timeout=_ALIVE)
        return done.returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def handler(platform: str, known: Sequence[Entry] | None = None) -> Entry | None:
    """The enabled entry that programs of ``platform`` are given to, else one that is not enabled, else None."""
    program = smallest_program(platform) or beginning(platform)
    fitting = [entry for entry in (entries() if known is None else known) if entry.takes(program)]
    return next((entry for entry in fitting if entry.enabled), fitting[0] if fitting else None)


@functools.cache
def native_platforms() -> tuple[str, ...]:
    """Platforms whose programs this host's processor runs itself, its own first."""
    own = host_platform()
    near = {"linux/amd64": ("linux/386",), "linux/arm64": ("linux/arm/v7", "linux/arm/v6")}.get(own, ())
    known = entries()
    return (own, *(other for other in near if handler(other, known) is None and runs(other)))


def check(platform: str, folder: Path = FOLDER) -> Problem | None:
    """What is wrong with how roots of ``platform`` run here, with how to mend it; None: nothing is.

    An error when they do not run, a warning when what few builds need is missing (flag ``C``), or nothing can be seen.
    """
    if platform == host_platform() or platform in native_platforms():
        return None
    if platform not in MACHINES:
        return Problem("unknown-platform", f"nothing is known of {platform}", hint=f"known: {', '.join(MACHINES)}")
    if not (folder / "status").exists():
        # In a container the kernel may know the host's emulators all the same.
        told = _working if folder == FOLDER and runs(platform) else _wrong
        return told(platform, "no-binfmt", f"binfmt_misc is not mounted at {folder}")
    if _first_line(folder / "status") != "enabled":
        return _wrong(platform, "binfmt-off", "binfmt_misc is switched off", f"echo 1 > {folder}/status")
    entry = handler(platform, entries(folder))
    if entry is None:
        return _wrong(platform, "no-binfmt-entry", "no emulator is registered in binfmt_misc")
    return _check_entry(platform, entry, folder)


def obstacle(platform: str) -> Problem | None:
    """What keeps roots of ``platform`` from running here, with how to mend it; None: nothing does."""
    problem = check(platform)
    return problem if problem and problem.severity == "error" else None


def registration(platform: str, program: str) -> str:
    """The line that registers ``program`` for ``platform``."""
    magic, mask = (
        "".join(f"\\x{byte:02x}" for byte in part)
        for part in (_masked(beginning(platform), _mask(platform)), _mask(platform))
    )
    return f":{entry_name(platform)}:M::{magic}:{mask}:{program}:{NEEDED}"


def entry_name(platform: str) -> str:
    """What the entry for ``platform`` is called everywhere."""
    return f"qemu-{MACHINES[platform].qemu}"


def mend(platform: str, folder: Path = FOLDER) -> str | None:
    """Registers the emulator of ``platform``, needing root. What was done; None: nothing had to be done.

    FarmError ``unknown-platform``, ``no-emulator`` when it is not installed; OSError when the kernel refuses.
    """
    problem = check(platform, folder)
    if problem is None:
        return None
    if platform not in MACHINES:
        raise FarmError(problem)
    if not (folder / "register").exists():
        _mount(folder)
        if check(platform, folder) is None:
            return f"mounted binfmt_misc, where {platform} is registered"
    program = _emulator(platform)
    (folder / "status").write_text("1")
    for entry in entries(folder):
        if entry.takes(beginning(platform)) or entry.name == entry_name(platform):
            (folder / entry.name).write_text("-1")
    (folder / "register").write_text(registration(platform, program))
    runs.cache_clear()
    if problem := check(platform, folder):
        raise FarmError(problem)
    return f"registered {program} for {platform} with flags {NEEDED}"


def _mount(folder: Path) -> None:
    """Where binfmt_misc is a module of the kernel, the folder is there with the module only."""
    if not folder.exists():
        with contextlib.suppress(OSError):
            subprocess.run(["modprobe", "binfmt_misc"], check=False)
    subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(folder)], check=True)


def _check_entry(platform: str, entry: Entry, folder: Path) -> Problem | None:
    if not entry.enabled:
        return _wrong(platform, "binfmt-entry-off", f"{entry.name} is switched off", f"echo 1 > {folder}/{entry.name}")
    if "F" not in entry.flags:
        message = (
            f"{entry.name} has flags {entry.flags or 'none'}, without F: in a root there is no {entry.interpreter}"
        )
        return _wrong(platform, "binfmt-flags", message)
    there = Path(entry.interpreter).exists()
    # The kernel has it open: its file may be gone, as is that of an emulator out of a container.
    works = runs(platform) if folder == FOLDER else there
    if not works and there:
        return _wrong(platform, "emulator-fails", f"{entry.interpreter} does not run the smallest of programs")
    if not works:
        return _wrong(platform, "no-emulator", f"{entry.name} names {entry.interpreter}, which is not there")
    if "C" not in entry.flags:
        message = f"{entry.name} has flags {entry.flags}, without C: set-id programs of a root get no rights"
        return _working(platform, "binfmt-flags", message)
    return None


def _wrong(platform: str, code: str, message: str, hint: str = "") -> Problem:
    program = f"qemu-{MACHINES[platform].qemu}-static"
    by_hand = f"run {MEND} as root" if platform in PLATFORMS else f"register {program} with flags {NEEDED}"
    return Problem(code, f"programs of {platform} cannot run here: {message}", hint=hint or by_hand)


def _working(platform: str, code: str, message: str) -> Problem:
    """A warning: something is wrong, but programs run."""
    told = f"programs of {platform} run here, but {message}"
    return dataclasses.replace(_wrong(platform, code, message), severity="warning", message=told)


def _emulator(platform: str) -> str:
    name = f"qemu-{MACHINES[platform].qemu}-static"
    found = shutil.which(name, path="/usr/local/bin:/usr/bin:/bin")
    if found is None:
        hint = "apt-get install qemu-user-static"
        raise FarmError(Problem("no-emulator", f"{name} is not installed", hint=hint))
    return found


def _mask(platform: str) -> bytes:
    """Any system interface, programs of fixed place or of any."""
    if MACHINES[platform].order == "<":
        return _MASK
    return _MASK[:16] + bytes([0xFF, 0xFE]) + _MASK[18:]


def _masked(content: bytes, mask: bytes) -> bytes:
    return bytes(byte & by for byte, by in zip(content, mask, strict=True))


def _offset(words: Mapping[str, str]) -> int:
    return int(words.get("offset", "0") or 0)


def _first_line(path: Path) -> str:
    try:
        return path.read_text().partition("\n")[0]
    except OSError:
        return ""


def _mended(platforms: Sequence[str]) -> Iterator[str]:
    for platform in platforms:
        done = mend(platform)
        yield done or f"programs of {platform} run here"


def main(platforms: Sequence[str]) -> int:
    """Mends what these platforms need, and says so."""
    try:
        for line in _mended(platforms or PLATFORMS):
            print(line)
    except FarmError as failure:
        print(failure, file=sys.stderr)
        return 1
    except (OSError, subprocess.CalledProcessError) as failure:
        print(f"binfmt_misc cannot be changed: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
