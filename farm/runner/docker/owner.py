# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels on all that the farm makes in a Docker engine, and the removal of what a dead farm left there.

Every container and image carries ``farm.run``, one id for each runner, and ``farm.owner``, which says in which
process that runner lives. Three things remove: the job itself, the process of `farm.runner.docker.reap` when the
farm ends in whatever way, and `sweep` at the next start when both were killed.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docker import DockerClient

RUN = "farm.run"
OWNER = "farm.owner"
STORE = "farm.store"
JOB = "farm.job"


def new_run() -> str:
    """A new run id."""
    return uuid.uuid4().hex


def labels(run: str, job: str, store: str = "") -> dict[str, str]:
    """The labels of a new thing, made for ``job`` (any text) of the store named ``store``."""
    found = {RUN: run, OWNER: identity(os.getpid()), JOB: job}
    return {**found, STORE: store} if store else found


def identity(pid: int) -> str:
    """Names a process of this host for good: boot id, pid namespace, pid, start time (proc(5)). Empty: none such."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{boot} {namespace} {pid} {fields[19]}"


def is_dead(owner: str) -> bool:
    """Whether the process that `identity` named has ended. One of another pid namespace counts as alive."""
    if not owner:
        return False
    boot, _, rest = owner.partition(" ")
    namespace, _, rest = rest.partition(" ")
    own_boot, own_namespace, *_ = identity(os.getpid()).split(" ")
    if boot != own_boot:
        return True
    return namespace == own_namespace and identity(int(rest.split(" ")[0])) != owner


def remove(client: DockerClient, label: str) -> int:
    """Kills and removes all containers, then all images, with ``label`` (``name=value``); returns their number."""
    removed = 0
    filters = {"label": label}
    for container in client.api.containers(all=True, filters=filters):
        with _others_may_do_the_same():
            client.api.remove_container(container["Id"], v=True, force=True)
            removed += 1
    for image in client.api.images(all=False, filters=filters):
        with _others_may_do_the_same():
            client.api.remove_image(image["Id"], force=True)
            removed += 1
    return removed


def sweep(client: DockerClient) -> int:
    """Removes what farms left that are no longer alive; returns the number of things removed."""
    dead = {run for run, owner in _owners(client) if is_dead(owner)}
    return sum(remove(client, f"{RUN}={run}") for run in sorted(dead))


def _owners(client: DockerClient) -> Iterator[tuple[str, str]]:
    filters = {"label": OWNER}
    for thing in client.api.containers(all=True, filters=filters) + client.api.images(filters=filters):
        yield thing["Labels"].get(RUN, ""), thing["Labels"][OWNER]


@contextlib.contextmanager
def _others_may_do_the_same() -> Iterator[None]:
    import docker

    try:
        yield
    except docker.errors.APIError as problem:
        if problem.status_code not in (404, 409):
            raise
