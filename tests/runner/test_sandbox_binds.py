# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of the host in a job's root, and jobs that run on the host with the root mounted for them alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from job_bench import Bench

from farm.plan.job import Bind, Job
from farm.runner.sandbox.shell import enter
from farm.spec.problem import FarmError

_INNER = {"workdir": "/", "fresh_workdir": False, "keep_workdir": True}


def test_a_bind_outlives_the_job_and_is_no_part_of_it(sandbox: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "distfiles"
    folder.mkdir()
    (folder / "in").write_text("brought")
    bind = Bind("/var/cache/distfiles", host=str(folder))
    layer = sandbox.layer("cp /var/cache/distfiles/in /got", "echo out >/var/cache/distfiles/out", binds=(bind,))
    made = sandbox.store.layer_path(layer)
    assert (made / "got").read_text() == "brought"
    assert (folder / "out").read_text() == "out\n"
    assert not list((made / "var/cache/distfiles").iterdir())


def test_a_cache_is_kept_by_the_store(sandbox: Bench) -> None:
    bind = Bind("/cache", cache="ccache")
    sandbox.output("echo one >>/cache/log", binds=(bind,))
    assert sandbox.output("cat /cache/log; echo two >>/cache/log", binds=(bind,)) == b"one\n"


def test_a_bind_may_be_read_only_and_gives_no_devices(sandbox: Bench, tmp_path: Path) -> None:
    bind = Bind("/in", host=str(tmp_path), read_only=True)
    outcome, log = sandbox.run("echo x >/in/x", binds=(bind,))
    assert outcome.status == "failed"
    assert b"Read-only" in log
    node = Bind("/in", host=str(tmp_path))
    outcome, log = sandbox.run("mknod /in/null c 1 3 && echo x >/in/null", binds=(node,))
    assert outcome.status == "failed"


def test_a_bind_follows_links_of_the_root_inside_the_root(sandbox: Bench, tmp_path: Path) -> None:
    below = sandbox.layer("ln -s ../../../../../../inside /link", "mkdir /inside", **_INNER)
    bind = Bind("/link/deep", host=str(tmp_path))
    made = sandbox.layer("echo x >/inside/deep/x", layers=(below,), binds=(bind,), **_INNER)
    assert (tmp_path / "x").read_text() == "x\n"
    assert (sandbox.store.layer_path(made) / "inside/deep").is_dir()
    assert not Path("/inside").exists()


def test_a_bind_that_is_not_there(sandbox: Bench, tmp_path: Path) -> None:
    with pytest.raises(FarmError) as caught:
        sandbox.run("true", binds=(Bind("/x", host=str(tmp_path / "none")),))
    assert caught.value.code == "bind-missing"


def test_a_job_on_the_host_changes_the_root_and_may_change_the_host(sandbox: Bench, tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    root.mkdir()
    steps = (f"echo made >{root}/made; rm {root}/bin/vi", f"ls {root}/bin/sh >{tmp_path}/seen; pwd >>{tmp_path}/seen")
    layer = sandbox.layer(*steps, on_host=str(root), **{**_INNER, "workdir": str(tmp_path)})
    made = sandbox.store.layer_path(layer)
    assert (made / "made").read_text() == "made\n"
    assert "/bin/vi" in (sandbox.store.records.object("layer", layer) or ((), (), ()))[2]
    assert (tmp_path / "seen").read_text() == f"{root}/bin/sh\n{tmp_path}\n"
    assert not list(root.iterdir())
    assert str(root) not in Path("/proc/self/mountinfo").read_text()


def test_nothing_that_a_job_on_the_host_starts_outlives_it(sandbox: Bench, tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    root.mkdir()
    steps = (f"(sleep 1; echo late >{tmp_path}/late) & mount -t tmpfs none {tmp_path} || true",)
    sandbox.layer(*steps, on_host=str(root), **_INNER)
    os.sync()
    assert not (tmp_path / "late").exists()
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()


def test_the_shell_of_a_failed_job_of_the_host_is_in_its_root(sandbox: Bench, tmp_path: Path) -> None:
    root = tmp_path / "rootfs"
    root.mkdir()
    job = Job(layers=(sandbox.base,), steps=(f"echo x >{root}/x; false",), on_host=str(root), **_INNER)  # type: ignore[arg-type]
    outcome, _ = sandbox.run_job(job)
    assert outcome.failure
    assert outcome.failure.root
    from farm.plan.node import key_document
    from farm.plan.reading import job_of

    assert enter(job_of(key_document(job)), sandbox.store, outcome.failure.root, ("/bin/test", "-e", "/x")) == 0


def test_the_docker_runner_says_that_it_cannot(sandbox: Bench, tmp_path: Path) -> None:
    import threading

    from farm.runner.docker import DockerRunner

    for job in (Job(binds=(Bind("/a", cache="a"),)), Job(on_host="/x")):
        with pytest.raises(FarmError) as caught:
            DockerRunner().run(job, sandbox.store, tmp_path / "log", threading.Event())
        assert caught.value.code == "docker-cannot"
