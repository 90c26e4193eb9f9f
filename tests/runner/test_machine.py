# SPDX-License-Identifier: GPL-3.0-or-later
"""Roots of other machines, on all runners: they run, the wrong ones are refused, an emulator's faults are known."""

from __future__ import annotations

from pathlib import Path

import job_roots
import machine_programs
import pytest
from job_bench import Bench

from farm.plan.job import EPOCH, Job
from farm.runner import binfmt
from farm.runner.machine import emulator_fault, shell_platform
from farm.runner.program import smallest_program
from farm.runner.protocol import Failure
from farm.runner.sandbox.shell import enter
from farm.spec.platform import host_platform
from farm.spec.problem import FarmError

pytestmark = pytest.mark.skipif(host_platform() != "linux/amd64", reason="the programs here are foreign to amd64 only")


@pytest.fixture(params=machine_programs.PLATFORMS)
def platform(request: pytest.FixtureRequest) -> str:
    problem = binfmt.check(request.param)
    if problem:
        pytest.skip(problem.message)
    return str(request.param)


def layer(bench: Bench, program: bytes) -> str:
    return bench.store.import_layer(machine_programs.root(program), epoch=EPOCH).digest


def test_a_foreign_root_runs(sandbox: Bench, platform: str) -> None:
    """What stands for the shell here cannot run Docker's script."""
    bench = sandbox
    root = layer(bench, machine_programs.shell(platform))
    outcome, log = bench.run_job(Job((root,), steps=("anything",), platform=platform))
    assert outcome.status == "ok", (outcome, log)
    assert log.decode().split() == ["i", "am", platform.removeprefix("linux/")]


def test_a_real_shell_runs_on_both(bench: Bench, platform: str, tmp_path: Path) -> None:
    program = machine_programs.busybox(platform, tmp_path)
    if program is None:
        pytest.skip(f"no mirror has Debian's busybox-static for {platform} in the revision that is pinned here")
    root = bench.store.import_layer(job_roots.busybox_root(program), epoch=EPOCH).digest
    text = "set -e; uname -m; seq 1 100 | awk '{ s += $1 } END { print s }'; mkdir /made; ln -s made /link; id -u"
    outcome, log = bench.run_job(Job((root,), steps=(text,), platform=platform))
    assert outcome.status == "ok", (outcome, log)
    machine = {"linux/arm64": "aarch64", "linux/arm/v7": "armv7l"}[platform]
    assert log.decode().split() == [machine, "5050", "0"]
    assert outcome.layer


def test_a_root_of_the_wrong_machine_is_refused(bench: Bench, platform: str) -> None:
    root = layer(bench, machine_programs.shell(platform))
    with pytest.raises(FarmError) as caught:
        bench.run_job(Job((root,), steps=("true",)))
    problem = caught.value.problems[0]
    assert problem.code == "wrong-machine" and not caught.value.transient
    assert platform in problem.message and f"--platform {platform}" in problem.hint


def test_nobody_enters_a_root_of_the_wrong_machine(sandbox: Bench, tmp_path: Path) -> None:
    root = layer(sandbox, machine_programs.shell("linux/arm64"))
    with pytest.raises(FarmError) as caught:
        enter(Job((root,)), sandbox.store, tmp_path)
    assert caught.value.code == "wrong-machine"


def test_the_hosts_root_is_wrong_for_another_platform(bench: Bench) -> None:
    with pytest.raises(FarmError) as caught:
        bench.run("true", platform="linux/arm64")
    assert caught.value.problems[0].code == "wrong-machine"


def test_a_missing_emulator_is_told_before_the_job(bench: Bench) -> None:
    platform = "linux/riscv64"
    program = smallest_program(platform)
    if program is None or binfmt.check(platform) is None:
        pytest.skip("this host has an emulator for riscv64")
    with pytest.raises(FarmError) as caught:
        bench.run_job(Job((layer(bench, program),), steps=("true",), platform=platform))
    assert caught.value.problems[0].code in ("no-binfmt", "no-binfmt-entry") and caught.value.transient


def test_what_the_shell_is_decides(bench: Bench) -> None:
    store = bench.store
    assert shell_platform(store.layer_paths((bench.base,))) == "linux/amd64"
    script = layer(bench, b"#!/bin/busybox sh\n")
    assert shell_platform(store.layer_paths((script,))) is None
    assert shell_platform(store.layer_paths((layer(bench, b""),))) is None
    arm = layer(bench, machine_programs.shell("linux/arm64"))
    assert shell_platform(store.layer_paths((bench.base, arm))) == "linux/arm64"


@pytest.mark.parametrize("change", [(18, b"\x08\0"), (5, b"\x02"), (4, b"\x01")], ids=("mips", "big-endian", "x32"))
def test_a_root_of_an_unknown_machine_is_refused(bench: Bench, change: tuple[int, bytes]) -> None:
    offset, new = change
    program = bytearray(smallest_program("linux/amd64") or b"")
    program[offset : offset + len(new)] = new
    if offset == 5:
        program[16:20] = bytes((0, 2, 0, 62))
    with pytest.raises(FarmError) as caught:
        bench.run_job(Job((layer(bench, bytes(program)),), steps=("true",)))
    problem = caught.value.problems[0]
    assert problem.code == "wrong-machine" and not caught.value.transient
    assert "a machine that the farm does not know" in problem.message and "linux/amd64" in problem.hint


def test_a_shell_that_is_a_script_is_of_its_interpreters_machine(bench: Bench) -> None:
    arm = layer(bench, machine_programs.shell("linux/arm64"))
    shell = machine_programs.tar_of("usr/bin/sh", b"#! /usr/bin/dash -e\n")
    script = bench.store.import_layer(shell, epoch=EPOCH).digest
    assert shell_platform(bench.store.layer_paths((arm, script))) == "linux/arm64"
    with pytest.raises(FarmError) as caught:
        bench.run_job(Job((arm, script), steps=("true",)))
    assert caught.value.problems[0].code == "wrong-machine"
    endless = bench.store.import_layer(machine_programs.tar_of("bin/sh", b"#!/bin/sh\n"), epoch=EPOCH).digest
    assert shell_platform(bench.store.layer_paths((endless,))) is None


@pytest.mark.parametrize("end, words", [("illegal", "illegal instruction"), ("segfault", "segmentation fault")])
def test_a_program_that_the_emulator_kills(
    sandbox: Bench, platform: str, tmp_path: Path, end: machine_programs.End, words: str
) -> None:
    bench = sandbox
    job = Job((layer(bench, machine_programs.shell(platform, end)),), steps=("true",), platform=platform)
    outcome, log = bench.run_job(job)
    assert outcome.status == "failed" and outcome.failure
    (tmp_path / "log").write_bytes(log)
    reason = emulator_fault(job, outcome.failure, tmp_path / "log")
    assert reason is not None and words in reason and "cross: true" in reason


@pytest.mark.parametrize(
    "line, words",
    [
        ("qemu: uncaught target signal 4 (Illegal instruction) - core dumped", "target signal 4 (Illegal instruction)"),
        ("qemu: Unsupported syscall: 435", "Unsupported syscall: 435"),
        ("qemu: fatal: Trying to execute code outside RAM at 0x00000000", "outside RAM"),
        ("qemu-aarch64-static: accel/tcg/cpu-exec.c:954: Assertion `cpu == current_cpu' failed.", "current_cpu"),
        ("ERROR:../../accel/tcg/translate-all.c:1234:tb_gen_code: assertion failed: (ok)", "assertion failed"),
        ("gcc: internal compiler error: Segmentation fault signal terminated program cc1", "terminated program cc1"),
        ("make: *** [Makefile:12: gen] Illegal instruction", ": Illegal instruction."),
        ("make: *** [Makefile:12: gen] Segmentation fault (core dumped)", ": Segmentation fault (core dumped)."),
        ("Segmentation fault", ": Segmentation fault."),
        ("/bin/sh: line 3:    77 Segmentation fault      ./conftest", ": Segmentation fault      ./conftest."),
        ("a.c:1:2: internal compiler error: Illegal instruction", ": Illegal instruction."),
        ("collect2: fatal error: ld terminated with signal 11 [Segmentation fault]", "terminated with signal 11"),
    ],
)
def test_last_words_of_an_emulator(tmp_path: Path, line: str, words: str) -> None:
    (tmp_path / "log").write_text(f"CC a.o\n{line}\nmake: *** [Makefile:3: all] Error 1\n")
    reason = emulator_fault(Job(platform="linux/arm64"), Failure(0, 2, "exit"), tmp_path / "log")
    assert reason is not None and reason.startswith("qemu-aarch64 could not go on (exit status 2)")
    assert words in reason


def test_other_failures_are_not_the_emulators(tmp_path: Path) -> None:
    log = tmp_path / "log"
    job, failure = Job(platform="linux/arm64"), Failure(0, 1, "exit")
    log.write_text("configure: error: no acceptable C compiler found\n")
    assert emulator_fault(job, failure, log) is None
    assert emulator_fault(job, Failure(0, 132, "exit"), log) is not None
    for said in (
        "ok 12 - a child's Segmentation fault is told",
        "checking whether Illegal instruction is caught... no",
        "test_signals.py::test_names[Segmentation fault] FAILED",
        "grep: Segmentation fault handling: no such file",
    ):
        log.write_text(f"{said}\nFAILED: 1 test\n")
        assert emulator_fault(job, failure, log) is None, said
    log.write_text("qemu: uncaught target signal 11 (Segmentation fault) - core dumped\n")
    assert emulator_fault(Job(platform=host_platform()), failure, log) is None
    assert emulator_fault(job, None, log) is None
    log.write_text("qemu: uncaught target signal 11 (Segmentation fault)\n" + "a later test was fine\n" * 1000)
    assert emulator_fault(job, failure, log) is None
