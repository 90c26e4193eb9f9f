# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking to the Docker engine: the connection, whether it can serve the farm, and images it already has."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from farm.spec.problem import error

if TYPE_CHECKING:
    from docker import DockerClient

API_TIMEOUT = 600
"""Seconds that one answer of the engine may take; loading a large layer is the slowest."""

_OVERLAY = Path("/sys/module/overlay/parameters")


@dataclasses.dataclass(frozen=True, slots=True)
class ImageInfo:
    """A local image: ``id`` (``sha256:`` and 64 digits) and its environment."""

    id: str
    env: tuple[tuple[str, str], ...]


@contextlib.contextmanager
def connection() -> Iterator[DockerClient]:
    """The engine that DOCKER_HOST names, else the one of the default socket.

    Raises FarmError: ``docker-unreachable`` when none answers, ``docker-engine`` (transient) when it
    fails at something it should be able to do.
    """
    import docker
    import requests

    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        _knock(host)
        client = docker.from_env(timeout=API_TIMEOUT)
    except (OSError, docker.errors.DockerException) as problem:
        hint = "start it (`systemctl start docker`, or as root `ci/host-setup --docker`), or use --runner sandbox"
        raise error("docker-unreachable", f"no Docker engine answers at {host}: {problem}", hint=hint) from problem
    try:
        yield client
    except (docker.errors.DockerException, requests.RequestException) as problem:
        raise error("docker-engine", f"the Docker engine failed: {problem}", transient=True) from problem
    finally:
        client.close()


def _knock(host: str) -> None:
    """Raises OSError when nobody listens: the SDK would leave an open socket behind."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as knocking:
            knocking.connect(host.removeprefix("unix://"))


def check(client: DockerClient) -> None:
    """Raises FarmError when this engine's containers cannot be read by the farm, saying what to change."""
    info = client.info()
    driver = info.get("Driver")
    if driver != "overlay2":
        hint = 'set "storage-driver": "overlay2" and "features": {"containerd-snapshotter": false} in the '
        hint += "engine's daemon.json and restart it, or use --runner sandbox"
        raise error("docker-storage", f"the engine's storage driver is {driver}, not overlay2", hint=hint)
    if mapped := [o for o in info.get("SecurityOptions") or () if o in ("name=userns", "name=rootless")]:
        message = f"the engine maps user ids ({mapped[0].removeprefix('name=')}); layers would have other owners"
        raise error("docker-userns", message, hint="use an engine without userns-remap, or --runner sandbox")
    _check_overlay_parameters()
    _check_storage(Path(info["DockerRootDir"]) / "overlay2")


def _check_overlay_parameters() -> None:
    """With these a changed file's data or place is known to the kernel alone (kernel's filesystems/overlayfs.rst)."""
    for name in ("metacopy", "redirect_dir"):
        path = _OVERLAY / name
        if path.exists() and path.read_text().strip() == "Y":
            raise error(
                "docker-overlay-options",
                f"overlayfs is set to {name}=on, which hides a container's changes from the farm",
                hint=f"as root: echo N > {path}",
            )


def _check_storage(folder: Path) -> None:
    if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return
    hint = "run farm as root on the engine's own host, or use --runner sandbox"
    raise error("docker-not-local", f"the engine's storage {folder} cannot be used from here", hint=hint)


def image_id(image: str) -> str:
    """The id of a local image. FarmError ``no-docker-image`` when the engine does not have it."""
    return inspect_image(image).id


def inspect_image(image: str) -> ImageInfo:
    """Id and environment of a local image. FarmError ``no-docker-image``."""
    with connection() as client:
        return _inspect(client, image)


def _inspect(client: DockerClient, image: str) -> ImageInfo:
    import docker

    try:
        found = client.images.get(image)
    except docker.errors.ImageNotFound:
        hint = f"make it known to the engine first: docker pull {image}, or docker import"
        raise error("no-docker-image", f"the Docker engine has no image {image}", hint=hint) from None
    config: dict[str, Any] = found.attrs.get("Config") or {}
    env = (entry.partition("=") for entry in config.get("Env") or ())
    return ImageInfo(str(found.id), tuple((name, value) for name, _, value in env))


def export_image(image: str, out: BinaryIO) -> ImageInfo:
    """Writes the root of a local image as one tar (extended attributes but capabilities are lost by the engine).

    FarmError ``no-docker-image``.
    """
    from farm.runner.docker.owner import labels, new_run

    with connection() as client:
        info = _inspect(client, image)
        made = client.api.create_container(info.id, command=["-"], labels=labels(new_run(), "export"))
        try:
            for chunk in client.api.export(made["Id"], chunk_size=1 << 20):
                out.write(chunk)
        finally:
            client.api.remove_container(made["Id"], v=True, force=True)
    return info
