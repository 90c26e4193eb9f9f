# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with binfmt_misc, and that it is mended: with the kernel's own, in a user namespace of the test's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import machine_programs
import pytest

from farm.runner import binfmt
from farm.runner.program import smallest_program
from farm.spec.platform import HEADER, MACHINES, host_platform, of_elf, runs_programs_of
from farm.spec.problem import FarmError

ARM = "linux/arm64"
ENTRY = """enabled
interpreter {interpreter}
flags: {flags}
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As /proc/sys/fs/binfmt_misc is, without an entry."""
    (tmp_path / "status").write_text("enabled\n")
    (tmp_path / "register").touch()
    return tmp_path


def entry(folder: Path, flags: str = "OCF", interpreter: str = sys.executable) -> None:
    (folder / "qemu-aarch64").write_text(ENTRY.format(flags=flags, interpreter=interpreter))


def found(folder: Path) -> str:
    problem = binfmt.check(ARM, folder)
    assert problem is None or problem.hint
    return problem.code if problem else ""


def test_what_is_right(folder: Path) -> None:
    entry(folder)
    assert found(folder) == ""
    assert binfmt.check(host_platform(), folder / "nowhere") is None


def test_each_thing_that_is_wrong_is_told(folder: Path) -> None:
    assert found(folder / "nowhere") == "no-binfmt"
    assert found(folder) == "no-binfmt-entry"
    entry(folder, "OC")
    assert found(folder) == "binfmt-flags"
    entry(folder, "OPF")
    assert found(folder) == "binfmt-flags"
    problem = binfmt.check(ARM, folder)
    assert problem is not None and problem.severity == "warning" and "run here, but" in problem.message
    entry(folder, "OCF", "/no/such/qemu")
    assert found(folder) == "no-emulator"
    (folder / "qemu-aarch64").write_text(ENTRY.format(flags="OCF", interpreter="/x").replace("enabled", "disabled"))
    assert found(folder) == "binfmt-entry-off"
    (folder / "status").write_text("disabled\n")
    assert found(folder) == "binfmt-off"
    problem = binfmt.check("linux/vax", folder)
    assert problem is not None and problem.code == "unknown-platform"


def test_an_entry_counts_by_what_it_takes_and_not_by_its_name(folder: Path) -> None:
    (folder / "something-else").write_text(ENTRY.format(flags="OCF", interpreter=sys.executable))
    (folder / "qemu-arm").write_text("enabled\ninterpreter /x\nflags: \nextension .exe\n")
    assert found(folder) == ""


@pytest.mark.parametrize("platform", sorted(MACHINES))
def test_what_is_registered_takes_programs_of_that_machine_only(platform: str) -> None:
    _, name, kind, offset, magic, mask, program, flags = binfmt.registration(platform, "/usr/bin/qemu").split(":")
    assert (kind, offset, program, flags) == ("M", "", "/usr/bin/qemu", "OCF")
    fields = [bytes.fromhex(text.replace("\\x", "")) for text in (magic, mask)]
    made = binfmt.Entry(name, True, program, flags, *fields)
    for other, machine in MACHINES.items():
        smallest = smallest_program(other)
        if smallest:
            assert made.takes(smallest) == (machine.number == MACHINES[platform].number)


def test_elf_headers_tell_the_platform() -> None:
    for platform in MACHINES:
        smallest = smallest_program(platform)
        if smallest:
            assert of_elf(smallest[:HEADER]) == platform
    assert of_elf(Path(sys.executable).resolve().read_bytes()[:HEADER]) == host_platform()
    assert of_elf(b"#!/bin/sh\n".ljust(HEADER)) is None and of_elf(b"\x7fELF") is None
    assert runs_programs_of("linux/arm/v7", "linux/arm/v6") and runs_programs_of("linux/amd64", "linux/386")
    assert not runs_programs_of(ARM, "linux/arm/v7") and not runs_programs_of("linux/386", "linux/amd64")


@pytest.mark.parametrize("platform", sorted(MACHINES))
def test_the_smallest_program_runs_on_its_machine(platform: str, tmp_path: Path) -> None:
    emulator = shutil.which(f"qemu-{MACHINES[platform].qemu}-static")
    if emulator is None:
        pytest.skip("its emulator is not installed (package qemu-user-static)")
    program = smallest_program(platform)
    assert program is not None
    (tmp_path / "program").write_bytes(program)
    (tmp_path / "program").chmod(0o755)
    assert subprocess.run([emulator, str(tmp_path / "program")], timeout=60).returncode == 0


def test_what_nothing_is_known_of_cannot_be_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert binfmt.main(["linux/vax"]) == 1
    assert "nothing is known of linux/vax" in capsys.readouterr().err


def test_a_kernel_with_modules_is_given_the_module_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the module there is no folder to mount on. Stand-ins note how they are called."""
    if host_platform() == "linux/s390x":
        pytest.skip("the platform here is to be another")
    folder, calls = tmp_path / "binfmt_misc", tmp_path / "calls"
    for name, done in (("modprobe", f"mkdir {folder}"), ("mount", f"touch {folder}/status {folder}/register")):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{calls}\n{done}\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(binfmt, "_emulator", lambda _platform: "/usr/bin/qemu")
    with pytest.raises(FarmError):  # a plain folder registers nothing
        binfmt.mend("linux/s390x", folder)
    assert calls.read_text().splitlines() == [
        "modprobe binfmt_misc",
        f"mount -t binfmt_misc binfmt_misc {folder}",
    ]
    assert "qemu-s390x" in (folder / "register").read_text()


def test_the_host_runs_its_own() -> None:
    assert binfmt.runs(host_platform())
    assert binfmt.native_platforms()[0] == host_platform()
    assert not binfmt.runs("linux/s390x") or host_platform() == "linux/s390x"


_WORK = f"""
set -e
{sys.executable} -m farm doctor --json --platform {ARM} >doctor-0 || echo $? >status-0
mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
{sys.executable} -m farm doctor --json --platform {ARM} >doctor-1 || echo $? >status-1
printf '%s' "$(cat line)" >/proc/sys/fs/binfmt_misc/register
{sys.executable} -m farm doctor --json --platform {ARM} >doctor-2 || echo $? >status-2
{sys.executable} -m farm.runner.binfmt {ARM}
{sys.executable} -m farm doctor --json --platform {ARM} >doctor-3
sed 's/qemu-aarch64:/zzz:/' line >/proc/sys/fs/binfmt_misc/register
{sys.executable} -m farm doctor --json --platform {ARM} >doctor-4 || echo $? >status-4
cp /usr/bin/qemu-aarch64-static gone
sed "s|/usr/bin/qemu-aarch64-static|$PWD/gone|; s/qemu-aarch64:/yyy:/; s/:OC$/:OCF/" line >line-5
cat line-5 >/proc/sys/fs/binfmt_misc/register
rm gone
{sys.executable} -m farm doctor --json --platform {ARM} >doctor-5 || echo $? >status-5
echo -1 >/proc/sys/fs/binfmt_misc/yyy
{sys.executable} -m farm.runner.binfmt {ARM}
./shell
{sys.executable} -m farm.runner.binfmt {ARM}
"""


def test_doctor_finds_and_the_setup_mends(tmp_path: Path) -> None:
    """In a user namespace of its own the kernel (6.7 and later) has a binfmt_misc of its own: empty at first."""
    if host_platform() != "linux/amd64" or not Path("/usr/bin/qemu-aarch64-static").exists():
        pytest.skip("qemu-aarch64-static is not installed (package qemu-user-static)")
    (tmp_path / "shell").write_bytes(machine_programs.shell(ARM))
    (tmp_path / "shell").chmod(0o755)
    line = binfmt.registration(ARM, "/usr/bin/qemu-aarch64-static").replace(":OCF", ":OC")
    (tmp_path / "line").write_text(line)
    command = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "--pid",
        "--kill-child",
        "--mount-proc",
        "sh",
        "-c",
        _WORK,
    ]
    env = {**os.environ, "FARM_STORE": str(tmp_path / "store")}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240)
    if "mount:" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no binfmt_misc of its own in a user namespace: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    unseen = _platform(tmp_path / "doctor-0")["detail"]
    assert ("run here, but binfmt_misc is not mounted" in unseen) == binfmt.runs(ARM), unseen
    told = [_platform(tmp_path / f"doctor-{number}") for number in (1, 2, 3, 4, 5)]
    assert [finding["verdict"] for finding in told] == ["missing", "missing", "ok", "missing", "ok"]
    assert "zzz has flags OC, without F" in told[3]["detail"]  # the kernel takes the latest that fits
    assert "/gone (flags OCF)" in told[4]["detail"]  # the kernel has it open, as with emulators out of a container
    assert "no emulator is registered" in told[0]["detail"] and "without F" in told[1]["detail"]
    assert all("ci/host-setup --arm" in finding["mend"] for finding in told[:2])
    assert "flags OCF" in told[2]["detail"]
    assert "registered /usr/bin/qemu-aarch64-static" in done.stdout and "i am arm64" in done.stdout
    assert done.stdout.endswith(f"programs of {ARM} run here\n")


def _platform(path: Path) -> dict[str, str]:
    findings: list[dict[str, str]] = json.loads(path.read_text())
    return next(finding for finding in findings if finding["what"] == f"platform {ARM}")
