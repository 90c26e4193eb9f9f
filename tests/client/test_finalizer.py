# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PTH208
"""Finalizers: when they run, in what surroundings, and what their failure means."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import job_roots
import pytest
from transaction_bench import Bench

from farm.client.finalizer import LUET_VERSION, environment, run_script
from farm.client.transaction.journal import TransactionFolder
from farm.client.transaction.recover import recover
from farm.client.transaction.step import Script
from farm.runner import binfmt
from farm.runner.program import smallest_program
from farm.spec.problem import FarmError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are tested as root")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    program = job_roots.busybox()
    if program is None:
        pytest.skip("no static busybox on this host (package busybox-static)")
    made = Bench(tmp_path, subsets_enabled=("devel", "doc"), finalizer_envs=(("FOO", "bar"),))
    for name in ("bin", "dev", "proc", "sys", "etc"):
        (made.root / name).mkdir()
    shutil.copy(program, made.root / "bin/busybox")
    for name in ("sh", "env", "cat", "ls", "id", "touch", "chown", "mount", "test", "wc"):
        (made.root / "bin" / name).symlink_to("busybox")
    yield made
    made.close()


def says(name: str) -> dict[str, list[str]]:
    return {
        "install": [f"echo install {name} $(ls /usr/bin | wc -l) >> /log"],
        "uninstall": [f"echo uninstall {name} $(test -e /usr/bin/{name} && echo there || echo gone) >> /log"],
    }


def test_order(bench: Bench) -> None:
    for_all = [bench.package(name, {f"usr/bin/{name}": name}, finalizer=says(name)) for name in ("b", "a")]
    bench.install(*for_all)
    bench.upgrade(bench.package("a", {"usr/bin/a": "2"}, "2.0", finalizer=says("a")))
    bench.remove("a", "b")
    assert bench.read("log").splitlines() == [
        "install b 2",
        "install a 2",
        "uninstall a there",
        "install a 2",
        "uninstall a gone",
        "uninstall b gone",
    ]


def test_surroundings(bench: Bench) -> None:
    commands = [
        "env > /env; id -u > /id; ls / > /top; touch /owned && chown 33:44 /owned",
        "test -c /dev/null && echo null > /dev/null && echo device",
        "mount -t tmpfs x /etc || echo no mounts; cat /sys/kernel/x || echo no sysfs; echo ü >&2",
    ]
    bench.install(bench.package("a", {"usr/bin/a": "a"}, finalizer={"install": commands}))
    env = set(bench.read("env").splitlines())
    assert {"FOO=bar", f"LUET_VERSION={LUET_VERSION}", "ANISE_SUBSETS=devel doc", "HOME=/root"} <= env
    assert {line.partition("=")[0] for line in env} <= {*environment(bench.config), "PWD", "SHLVL", "_"}
    assert bench.read("id") == "0\n" and "bin" in bench.read("top").split() and "work" not in bench.read("top").split()
    assert ((bench.root / "owned").stat().st_uid, (bench.root / "owned").stat().st_gid) == (33, 44)
    output = [one.text for one in bench.told if one.phase == "output"]
    assert "device" in output and "no mounts" in output and "ü" in output
    assert not os.listdir(bench.root / "dev") and not os.listdir(bench.root / "proc")


def test_a_failure_is_told_and_loses_nothing(bench: Bench) -> None:
    bad = bench.package("bad", {"usr/bin/bad": "x"}, finalizer={"install": ["exit 7", "echo never >> /log"]})
    good = bench.package("good", {"usr/bin/good": "x"}, finalizer=says("good"))
    result = bench.install(bad, good)
    assert [problem.code for problem in result.failures] == ["finalizer-failed"]
    assert bench.names() == ["bad", "good"]
    assert bench.read("log") == "install good 2\n"


def test_shell_and_none(bench: Bench) -> None:
    finalizer = {"shell": ["/bin/busybox", "sh", "-e", "-c"], "install": ["echo $0 > /log"]}
    bench.install(bench.package("a", {"usr/bin/a": "a"}, finalizer=finalizer), finalizers=False)
    assert not (bench.root / "log").exists()
    bench.upgrade(bench.package("a", {"usr/bin/a": "a"}, "2.0", finalizer=finalizer))
    assert (bench.root / "log").exists()
    missing = {"shell": ["/bin/none"], "install": ["x"]}
    result = bench.upgrade(bench.package("a", {"usr/bin/a": "a"}, "3.0", finalizer=missing))
    assert [problem.code for problem in result.failures] == ["finalizer-failed"]


def test_rest_runs_after_a_crash(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = [bench.package(name, {f"usr/bin/{name}": name}, finalizer=says(name)) for name in ("a", "b", "c")]
    begin = TransactionFolder.begin_script

    def die(self: TransactionFolder, number: int) -> None:
        begin(self, number)
        if number == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(TransactionFolder, "begin_script", die)
    with pytest.raises(KeyboardInterrupt):
        bench.install(*packages)
    monkeypatch.undo()
    assert recover(bench.config, bench.database) == "new"
    assert bench.read("log").splitlines() == ["install a 3", "install c 3"]
    assert bench.names() == ["a", "b", "c"]


def test_in_the_hosts_root(bench: Bench, tmp_path: Path) -> None:
    config = dataclasses.replace(bench.config, rootfs=Path("/"))
    out = tmp_path / "out"
    run_script(Script("test/a-1.0", "install", ("/bin/sh", "-c"), (f"echo $FOO > {out}",)), config, bench.told.append)
    assert out.read_text() == "bar\n"
    with pytest.raises(FarmError) as caught:
        run_script(Script("test/a-1.0", "install", ("/bin/sh", "-c"), ("kill -9 $$",)), config, bench.told.append)
    assert caught.value.code == "finalizer-failed"


def test_in_a_root_whose_programs_do_not_run_here(bench: Bench) -> None:
    strange = "linux/riscv64"
    program = smallest_program(strange)
    if program is None or binfmt.check(strange) is None:
        pytest.skip("this host has an emulator for riscv64")
    (bench.root / "bin/sh").unlink()
    (bench.root / "bin/sh").write_bytes(program)
    (bench.root / "bin/sh").chmod(0o755)
    with pytest.raises(FarmError) as caught:
        run_script(Script("test/a-1.0", "install", ("/bin/sh", "-c"), ("true",)), bench.config, bench.told.append)
    (problem,) = caught.value.problems
    assert problem.code == "finalizer-failed" and f"programs of {strange} cannot run here" in problem.hint
