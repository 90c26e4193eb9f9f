# SPDX-License-Identifier: GPL-3.0-or-later
"""From a job to nodes of the graph, one after the other: hooks before the source, source, hooks, tarball, hooks.

Each hook is a job of its own whose layer is what it changed. As with mark-devkit everything is made anew in each
run; so all keys have the run's own text in them (``once``), and a run that goes on with an earlier one has that
one's. What does not read the network or the host still has the same bytes, and keeps them.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Mapping

from farm.plan.job import Bind, Made, Ref, Work
from farm.plan.job import Job as Action
from farm.plan.node import Node, Plan
from farm.stage.metro.model import AniseSource, Hook, HttpSource, Job
from farm.stage.metro.render import VERSION

DOWNLOAD, UNPACK, TAKE = "metro-download", "metro-unpack", "metro-take"
TARBALL, DELIVER, ANISE = "metro-tar", "metro-deliver", "metro-anise"
"""Names of makers. `ANISE` is the client's, which is on a floor above: the command line gives it."""

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INNER_SHELL = (
    'if [ -x /bin/bash ]; then exec /bin/bash -c "$0"; else exec /bin/sh -c "$0"; fi'  # a small root has no bash
)


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """How a job is run. ``once``: the run's own text. ``host_environment`` is what hooks on the host get of the host's.

    ``folder`` is the working directory, where hooks on the host begin. ``skip_source``: the root is what lies in the
    workspace.
    """

    once: str
    folder: str
    platform: str
    host_environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    skip_source: bool = False
    skip_hooks: bool = False
    skip_packer: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """The graph. ``hooks`` are the hooks by the id of their node, ``roots`` each node's root when it is made.

    ``final`` are the layers of the finished root; ``tarball`` the node that puts the tarball into its place.
    """

    plan: Plan
    hooks: Mapping[str, Hook]
    roots: Mapping[str, tuple[Ref, ...]]
    final: tuple[Ref, ...]
    tarball: str = ""


def plan_job(job: Job, binds: Mapping[str, str], options: Options) -> Planned:
    """The plan of a job. ``binds``: each bind's source as written → the checked folder (`farm.stage.metro.host`)."""
    return _Planner(job, binds, options).plan()


class _Planner:
    """Adds node after node; ``layers`` is the root so far, lowest first."""

    def __init__(self, job: Job, binds: Mapping[str, str], options: Options) -> None:
        self.job = job
        self.binds = binds
        self.options = options
        self.nodes: dict[str, Node] = {}
        self.hooks: dict[str, Hook] = {}
        self.roots: dict[str, tuple[Ref, ...]] = {}
        self.layers: tuple[Ref, ...] = ()
        self.epoch = int(job.moment.timestamp())
        self.once = ("once", options.once)

    def plan(self) -> Planned:
        job = self.job
        self._run("outer-pre-sourcer")
        self._source()
        self._run("outer-pre-chroot")
        self._run("inner-chroot", "outer-chroot")
        self._run("outer-post-chroot")
        final = self.layers
        tarball = "" if self.options.skip_packer else self._tarball()
        for hook in self._hooks("outer-post-output") if tarball else ():
            output = (("MARKDEVKIT_OUTPUTDIR", str(job.output.folder)), ("MARKDEVKIT_OUTPUTNAME", job.output.name))
            self._hook(hook, after=(tarball,), more=output)
        return Planned(Plan(self.nodes, tuple(self.nodes)), self.hooks, self.roots, final, tarball)

    def _hooks(self, *types: str) -> tuple[Hook, ...]:
        if self.options.skip_hooks:
            return ()
        return tuple(hook for hook in self.job.hooks if hook.type in types and hook.commands)

    def _run(self, *types: str) -> None:
        for hook in self._hooks(*types):
            self.layers = (*self.layers, Made(self._hook(hook), "layer"))

    def _hook(self, hook: Hook, after: tuple[str, ...] = (), more: tuple[tuple[str, str], ...] = ()) -> str:
        shape = Action(
            self.layers,
            steps=tuple(_step(hook, command) for command in hook.commands),
            network=True,
            platform=self.options.platform,
            workdir=self.options.folder if hook.on_host else "/",
            keep_workdir=True,
            fresh_workdir=False,
            epoch=self.epoch,
            binds=() if hook.on_host else self._binds(hook),
            once=self.options.once,
            on_host=str(self.job.rootfs) if hook.on_host else "",
        )
        name = f"{self.job.name}:{hook.number:02}-{_slug(hook.name)}"
        self.hooks[name] = hook
        return self._add(Node(name, shape, env_from=after, preset=self._environment(hook, more)))

    def _environment(self, hook: Hook, more: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        host = self.options.host_environment if hook.on_host else {"PATH": _PATH, "HOME": "/root", "TERM": "linux"}
        own = {
            "MARKDEVKIT_VERSION": VERSION,
            "MARKDEVKIT_WORKSPACE": str(self.job.workspace),
            "MARKDEVKIT_ROOTFS": str(self.job.rootfs),
        }
        return tuple({**host, **dict(self.job.environment), **own, **dict(more)}.items())

    def _binds(self, hook: Hook) -> tuple[Bind, ...]:
        """The job's, and the hook's over them; one of each source, as mark-devkit has it."""
        targets = {bind.source: bind.target for bind in (*self.job.binds, *hook.binds)}
        return tuple(Bind(target, host=self.binds[source]) for source, target in targets.items())

    def _source(self) -> None:
        source, name = self.job.source, f"{self.job.name}:source"
        if self.options.skip_source:
            work = Work(TAKE, self.layers, local=(("folder", str(self.job.rootfs)),))
            self.layers = (*self.layers, Made(self._add(Node(name, work)), "layer"))
        elif isinstance(source, HttpSource):
            blob = Made(self._add(Node(f"{self.job.name}:download", self._download(source))), "blob")
            rules = ("rules", json.dumps(dataclasses.asdict(source.rules)))
            unpacked = self._add(Node(name, Work(UNPACK, blobs=(blob,), settings=(rules,))))
            self.layers = (*self.layers, Made(unpacked, "layer"))
        else:
            self.layers = (Made(self._add(Node(name, self._anise(source))), "layer"),)

    def _download(self, source: HttpSource) -> Work:
        """After the hooks that come before it, which its ``layers`` see to."""
        checks = (("sha256", source.sha256), ("key", source.key))
        where = (("uri", source.uri), ("target", str(source.target)), ("signature", source.signature))
        return Work(DOWNLOAD, self.layers, settings=checks, local=where)

    def _anise(self, source: AniseSource) -> Work:
        settings = (
            ("repositories", json.dumps(source.repositories)),
            ("packages", json.dumps(source.packages)),
            ("epoch", str(self.epoch)),
            self.once,
        )
        return Work(ANISE, self.layers, settings=settings, local=(("config", str(source.config or "")),))

    def _tarball(self) -> str:
        output = self.job.output
        settings = (
            ("compression", output.compression),
            ("epoch", str(self.epoch)),
            ("rules", json.dumps(dataclasses.asdict(output.rules))),
        )
        packed = self._add(Node(f"{self.job.name}:tarball", Work(TARBALL, self.layers, settings=settings)))
        where = (("folder", str(output.folder)), ("name", output.name))
        deliver = Work(DELIVER, blobs=(Made(packed, "blob"),), settings=(self.once,), local=where)
        return self._add(Node(f"{self.job.name}:output", deliver))

    def _add(self, node: Node) -> str:
        self.nodes[node.id] = node
        self.roots[node.id] = self.layers
        return node.id


def _step(hook: Hook, command: str) -> str:
    """The command as ``/bin/sh -c`` takes it. mark-devkit documents ``/bin/bash -c`` where no entrypoint is given."""
    if hook.entrypoint:
        return "exec " + shlex.join([*hook.entrypoint, command])
    if hook.on_host:
        return "exec " + shlex.join(["/bin/bash", "-c", command])
    return "exec " + shlex.join(["/bin/sh", "-c", _INNER_SHELL, command])


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip("-")[:60] or "hook"
