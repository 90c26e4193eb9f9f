# SPDX-License-Identifier: GPL-3.0-or-later
"""The same tree gives the same bytes wherever its jobs run."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from farm_command import Farm

MFS = Path(__file__).parents[2] / "specs" / "mfs-mini"
ODD = """
image: box
prelude: ["mkdir -p /d/below && echo 1 >/d/below/kept && echo 2 >/d/gone"]
steps:
- rm -r /d && mkdir -m 700 /d && echo 3 >/d/new
- chown 33:44 /d/new && chmod 6755 /d/new && ln /d/new /d/hard && mkfifo /d/fifo && ln -s /none /d/link
- rm /bin/vi && echo x >/etc/issue && mkdir /empty && touch -d @5 /empty && rm -rf /root && echo file >/root
- mknod /d/null c 1 3; true
"""


@pytest.mark.docker
@pytest.mark.skipif(os.geteuid() != 0, reason="the docker runner reads the engine's folders as root")
def test_sandbox_and_docker_agree(farm: Farm, docker_host: str, tmp_path: Path) -> None:
    farm.package("lib/odd", ODD)
    requires = 'requires: [{category: lib, name: odd, version: ">=0"}]\n'
    farm.package("app/whole", requires + "unpack: true\nsteps: [rm -r /empty, 'cp -a /d /copied']\n")
    farm.package("app/join", requires + "requires_final_images: true\nunpack: true\n")
    sandbox = farm.build("--all", "--runner", "sandbox")
    other = dataclasses.replace(farm, store=tmp_path / "docker-store")
    docker = other.build("--all", "--runner", "docker", DOCKER_HOST=docker_host)
    assert sandbox["status"] == docker["status"] == 0
    assert docker["packages"] and digests(docker) == digests(sandbox)
    assert docker["made"]["lib/odd-1.0:package"]["deleted"] == sandbox["made"]["lib/odd-1.0:package"]["deleted"]


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.skipif(os.geteuid() != 0, reason="the docker runner reads the engine's folders as root")
def test_mfs_mini_on_both_runners(docker_host: str, tmp_path: Path) -> None:
    """From nothing, seed included, twice; about ten minutes."""
    here = Farm(MFS, tmp_path / "sandbox-store", tmp_path)
    there = Farm(MFS, tmp_path / "docker-store", tmp_path)
    sandbox = here.build("--all", limit=1500)
    docker = there.build("--all", "--runner", "docker", limit=1500, DOCKER_HOST=docker_host)
    assert sandbox["status"] == docker["status"] == 0
    assert digests(docker) == digests(sandbox)
    again = here.build("--all")
    assert set(again["counts"]) == {"cached"}


def digests(summary: dict[str, object]) -> dict[str, str]:
    """sha256 by package."""
    packages = summary["packages"]
    assert isinstance(packages, list)
    return {package["package"]: package["sha256"] for package in packages}


@pytest.mark.docker
@pytest.mark.skipif(os.geteuid() != 0, reason="the docker runner reads the engine's folders as root")
def test_a_local_docker_image_is_a_seed(farm: Farm, docker_host: str, tmp_path: Path) -> None:
    import docker

    client = docker.DockerClient(base_url=docker_host)
    name = f"farm-test/base:{os.getpid()}"
    try:
        repository, _, tag = name.partition(":")
        client.api.import_image(str(farm.root), repository=repository, tag=tag, changes=["ENV FROM_IMAGE=yes"])
        farm.package("app/named", f"image: docker://{name}\nsteps: ['test $FROM_IMAGE = yes && echo 1 >/x']\n")
        farm.package("app/plain", f"image: {name}\nsteps: ['echo 2 >/x']\n")
        sandbox = farm.build("--all", "-k", DOCKER_HOST=docker_host)
        other = dataclasses.replace(farm, store=tmp_path / "docker-store")
        docker_made = other.build("--all", "--runner", "docker", DOCKER_HOST=docker_host)
    finally:
        client.images.remove(name, force=True)
        client.close()
    assert [problem["code"] for problem in sandbox["problems"]] == ["unknown-image"]
    assert list(digests(sandbox)) == ["app/named-1.0"]
    assert list(digests(docker_made)) == ["app/named-1.0", "app/plain-1.0"]
    assert digests(docker_made)["app/named-1.0"] == digests(sandbox)["app/named-1.0"]
