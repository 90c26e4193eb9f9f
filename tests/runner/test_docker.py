# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the docker runner has to do: leave nothing in the engine, send each layer once, say what is wrong."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_bench import Bench

from farm.plan.job import Job, Limits
from farm.runner.docker import DockerRunner, engine, owner
from farm.runner.docker.images import write_archive
from farm.spec.problem import FarmError
from farm.store.store import Store

pytestmark = pytest.mark.docker
PATIENCE = 60


@pytest.fixture(scope="session")
def docker_runner(docker_host: str) -> Iterator[DockerRunner]:
    if os.geteuid() != 0:
        pytest.skip("the docker runner needs root")
    made = DockerRunner()
    made.check()
    yield made
    made.close()


@pytest.fixture
def docker(docker_runner: DockerRunner, store: Store, base: str, tmp_path: Path) -> Bench:
    return Bench(docker_runner, store, base, tmp_path)


def things(label: str) -> list[str]:
    """Ids of all containers and images with a label."""
    with engine.connection() as client:
        filters = {"label": label}
        found = client.api.containers(all=True, filters=filters) + client.api.images(all=True, filters=filters)
        return [thing["Id"] for thing in found]


def until_gone(label: str) -> None:
    give_up = time.monotonic() + PATIENCE
    while things(label):
        assert time.monotonic() < give_up
        time.sleep(0.1)


def volumes() -> int:
    with engine.connection() as client:
        return len(client.volumes.list())


def test_close_leaves_nothing(store: Store, base: str, docker_host: str, tmp_path: Path) -> None:
    before = volumes()
    runner = DockerRunner()
    bench = Bench(runner, store, base, tmp_path)
    bench.output("echo x")
    assert bench.run("exit 1")[0].status == "failed"
    assert bench.run("sleep 1000", limits=Limits(timeout=0.5))[0].status == "timeout"
    label = f"{owner.RUN}={runner.run_id}"
    assert things(label), "the stack of layers is kept for the next job"
    runner.close()
    assert things(label) == []
    assert volumes() == before


def test_job_leaves_only_the_stack(docker: Bench, docker_runner: DockerRunner) -> None:
    docker.output("echo x")
    with engine.connection() as client:
        kept = client.api.images(all=True, filters={"label": f"{owner.RUN}={docker_runner.run_id}"})
    assert {image["Labels"][owner.JOB] for image in kept} == {"stack"}


FARM = """
import sys, threading
from pathlib import Path
from farm.plan.job import Job
from farm.runner.docker import DockerRunner
from farm.store.store import Store
runner = DockerRunner()
print(runner.run_id, flush=True)
with Store(Path(sys.argv[1])) as store:
    job = Job(layers=(sys.argv[2],), steps=("echo begun; sleep 1000",))
    runner.run(job, store, Path(sys.argv[3]), threading.Event())
"""


def start_farm(store: Store, base: str, log: Path) -> tuple[subprocess.Popen[str], str]:
    """A farm in a process of its own whose job has begun, and its run id."""
    arguments = [sys.executable, "-c", FARM, str(store.root), base, str(log)]
    farm = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert farm.stdout
    run = farm.stdout.readline().strip()
    give_up = time.monotonic() + PATIENCE
    while not (log.exists() and log.read_bytes() == b"begun\n"):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    return farm, run


def reapers(run: str) -> list[int]:
    """Process ids of the reapers of a run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if run.encode() in words:
            found.append(int(path.parent.name))
    return found


def end(farm: subprocess.Popen[str]) -> None:
    farm.kill()
    farm.wait()
    assert farm.stdout
    farm.stdout.close()


def test_killed_farm_leaves_nothing(docker: Bench) -> None:
    farm, run = start_farm(docker.store, docker.base, docker.logs / "log")
    label = f"{owner.RUN}={run}"
    assert things(label)
    end(farm)
    until_gone(label)


def test_next_farm_sweeps_when_the_reaper_was_killed_too(docker: Bench) -> None:
    farm, run = start_farm(docker.store, docker.base, docker.logs / "log")
    (reaper,) = reapers(run)
    os.kill(reaper, signal.SIGKILL)
    label = f"{owner.RUN}={run}"
    assert things(label)
    end(farm)
    with engine.connection() as client:
        owner.sweep(client)
    assert things(label) == [], "swept here, or by another test's farm just before"


def test_sweep_spares_the_living(docker: Bench) -> None:
    docker.output("true")
    with engine.connection() as client:
        owner.sweep(client)
    assert things(f"{owner.OWNER}={owner.identity(os.getpid())}")


def test_dead_and_living_owners() -> None:
    alive = owner.identity(os.getpid())
    child = subprocess.Popen(["sleep", "100"])
    dead = owner.identity(child.pid)
    child.kill()
    child.wait()
    boot, rest = alive.split(" ", 1)
    assert not owner.is_dead(alive)
    assert owner.is_dead(dead)
    assert owner.is_dead(f"{boot[::-1]} {rest}")
    assert not owner.is_dead(alive.replace("pid:[", "pid:[9"))
    assert not owner.is_dead("")


def test_removed_images_are_loaded_again(docker: Bench, docker_runner: DockerRunner) -> None:
    docker.output("echo x")
    with engine.connection() as client:
        owner.remove(client, f"{owner.RUN}={docker_runner.run_id}")
    assert docker.output("echo y") == b"y\n"


def test_known_layers_are_not_sent(store: Store, base: str, tmp_path: Path) -> None:
    path = tmp_path / "images.tar"
    (image,) = write_archive(path, store, [((base,), {"a": "b"})], "linux/arm64/v8", {(base,)})
    with tarfile.open(path) as archive:
        assert archive.getnames() == [f"{image.removeprefix('sha256:')}.json", "manifest.json"]
    write_archive(path, store, [((base,), {"a": "b"})], "linux/arm64/v8", set())
    with tarfile.open(path) as archive:
        assert f"{base}/layer.tar" in archive.getnames()


def test_no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with pytest.raises(FarmError) as caught:
        DockerRunner().check()
    assert caught.value.code == "docker-unreachable"


@pytest.mark.parametrize("name", ["metacopy", "redirect_dir"])
def test_overlay_parameters(docker_host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("Y\n")
    monkeypatch.setattr(engine, "_OVERLAY", tmp_path)
    with pytest.raises(FarmError) as caught:
        DockerRunner().check()
    assert caught.value.code == "docker-overlay-options"


def test_export_of_an_image(docker_host: str) -> None:
    content, tag = io.BytesIO(), f"export-{os.getpid()}"
    with tarfile.open(fileobj=content, mode="w") as archive:
        member = tarfile.TarInfo("etc/made")
        member.size = 2
        archive.addfile(member, io.BytesIO(b"x\n"))
    with engine.connection() as client:
        image = client.api.import_image_from_data(
            content.getvalue(), repository="farm-test", tag=tag, changes=["ENV A=b=c"]
        )
        assert image
    try:
        out = io.BytesIO()
        info = engine.export_image(f"farm-test:{tag}", out)
        assert info.id == engine.image_id(f"farm-test:{tag}")
        assert ("A", "b=c") in info.env
        out.seek(0)
        with tarfile.open(fileobj=out) as archive:
            made = archive.extractfile("etc/made")
            assert made and made.read() == b"x\n"
        assert things(f"{owner.JOB}=export") == []
    finally:
        with engine.connection() as client:
            client.api.remove_image(f"farm-test:{tag}")


def test_unknown_image(docker_host: str) -> None:
    with pytest.raises(FarmError) as caught:
        engine.image_id("farm-test:no-such")
    assert caught.value.code == "no-docker-image"


def test_container_shows_nothing_of_the_farm(docker: Bench) -> None:
    step = "ls -A / /dev | grep -i -e farm -e docker; grep /dev/farm /proc/mounts; ls -A /sys /etc/mtab 2>&1"
    assert docker.output(f"{step}; true") == b"ls: /etc/mtab: No such file or directory\n/sys:\n"


def test_etc_removed_by_a_layer_stays_removed(docker: Bench) -> None:
    with docker.store.scratch("upper") as scratch:
        upper = scratch / "upper"
        (upper / "etc").mkdir(parents=True)
        os.mknod(upper / "etc/hosts", 0o020000, 0)
        (upper / "etc/resolv.conf").symlink_to("/run/resolver/here")
        skeleton = scratch / "skeleton"
        (skeleton / "etc").mkdir(parents=True)
        (skeleton / "etc/hosts").touch()
        layer = docker.store.commit_layer(upper, [skeleton]).digest
    made = docker.layer("ls /etc/hosts; ls -A /run; echo x >/new", layers=(layer,))
    assert [path.name for path in docker.store.layer_path(made).iterdir()] == ["new"]


def test_job_in_threads(docker: Bench) -> None:
    job = Job(layers=(docker.base,), steps=("sleep 0.2",))
    outcomes = []

    def one(number: int) -> None:
        log = docker.logs / f"thread-{number}"
        outcomes.append(docker.runner.run(job, docker.store, log, threading.Event()).status)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["ok"] * 4


@pytest.mark.parametrize("name", ["proc", "etc", "sys", "dev"])
def test_no_folder_to_mount_on(docker: Bench, name: str) -> None:
    with docker.store.scratch("upper") as scratch:
        (scratch / "upper").mkdir()
        (scratch / "upper" / name).write_text("a file")
        layer = docker.store.commit_layer(scratch / "upper", ()).digest
    outcome, _ = docker.run("true", layers=(layer,))
    assert outcome.failure
    assert (outcome.failure.command, outcome.failure.reason) == (-1, "bad-root")
