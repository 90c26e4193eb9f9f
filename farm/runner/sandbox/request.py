# SPDX-License-Identifier: GPL-3.0-or-later
"""What the farm tells the process that becomes pid 1 of a job."""

from __future__ import annotations

import dataclasses
import json
import os

UPPER = "upper"
WORK = "work"
"""Names in a job's scratch folder. `UPPER` may be a link. Links 0, 1, … lead to the lower directories, lowest first.
The root is mounted over the folder itself."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One job, or one shell when ``shell`` is set. Sizes in bytes. ``env`` and ``commands`` are as they run.

    ``lowers`` counts the links in the scratch folder; ``etc`` is what these files of /etc say. ``cgroups`` are
    ``cgroup.procs`` files to join. ``binds`` are folders of the host, where they are in the root, and whether they are
    read-only. With ``on_host`` the root is mounted there, and the commands run on the host. ``rlimit_memory`` and
    ``rlimit_processes`` are set only where there is no cgroup for them.
    """

    scratch: str
    lowers: int
    workdir: str
    env: dict[str, str]
    etc: dict[str, str]
    commands: tuple[str, ...] = ()
    shell: tuple[str, ...] = ()
    network: bool = False
    rootless: bool = False
    cgroups: tuple[str, ...] = ()
    rlimit_memory: int | None = None
    rlimit_processes: int | None = None
    shared_memory: int | None = None
    binds: tuple[tuple[str, str, bool], ...] = ()
    on_host: str = ""

    def to_memory(self) -> int:
        """A file descriptor of an anonymous file that holds the request, at its beginning."""
        fd = os.memfd_create("farm-request")
        with open(fd, "wb", closefd=False) as file:
            file.write(json.dumps(dataclasses.asdict(self)).encode())
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    @classmethod
    def from_memory(cls, fd: int) -> Request:
        """The reverse of `to_memory`; closes ``fd``."""
        with open(fd, "rb") as file:
            fields = json.load(file)
        for name in ("commands", "shell", "cgroups"):
            fields[name] = tuple(fields[name])
        fields["binds"] = tuple(tuple(bind) for bind in fields["binds"])
        return cls(**fields)
