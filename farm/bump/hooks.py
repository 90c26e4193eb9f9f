# SPDX-License-Identifier: GPL-3.0-or-later
"""Version hooks: shell commands of a tree's labels, which run as jobs of the farm and never on the host itself."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from farm.engine.summary import Summary
from farm.plan.images import Images, seed_node_id
from farm.plan.job import Job, Limits, Made, Seed
from farm.plan.node import Node, Plan
from farm.plan.recipe import PRESET
from farm.spec.model import Package
from farm.spec.problem import FarmError, Problem, error

if TYPE_CHECKING:
    from farm.store.store import Store

MAX_ANSWER = 64 << 10
"""Bytes of a hook's answer that are read."""

_FOLDER, _FILE = "farm-bump", "answer"
_STEP = f'mkdir -p /{_FOLDER} && "$(command -v bash || echo /bin/sh)" -c "$FARM_HOOK" >/{_FOLDER}/{_FILE}'
_LIMITS = Limits(memory=1 << 30, disk=1 << 30, timeout=300.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Hook:
    """A command for one package; it sees ``version`` as PACKAGE_VERSION. ``seed`` names its root (farm.yaml)."""

    package: Package
    command: str
    version: str
    network: bool = False
    seed: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class HookRunner:
    """Runs hooks. ``run`` carries out a plan; ``default`` names the seed of hooks that name none; ``moment`` is a text
    that differs from run to run, so that no answer is taken from the cache. ``network``: all hooks have one."""

    store: Store
    run: Callable[[Plan], Summary]
    images: Images
    platform: str
    moment: str
    default: str = ""
    network: bool = False

    def answers(self, hooks: Sequence[Hook]) -> dict[Hook, list[str] | FarmError]:
        """For each hook the lines that it wrote on its standard output, or why there are none."""
        found: dict[Hook, list[str] | FarmError] = {}
        nodes: dict[str, Node] = {}
        names: dict[str, Hook] = {}
        for hook in hooks:
            try:
                job, seed = self._nodes(hook)
            except FarmError as failure:
                found[hook] = failure
            else:
                nodes |= {seed.id: seed, job.id: job}
                names[job.id] = hook
        if names:
            summary = self.run(Plan(nodes, tuple(names)))
            found |= {hook: self._answer(name, hook, summary) for name, hook in names.items()}
        return found

    def _nodes(self, hook: Hook) -> tuple[Node, Node]:
        seed = self._seed(hook)
        base = Node(seed_node_id(seed), seed)
        id = hook.package.id
        own = {"PACKAGE_NAME": id.name, "PACKAGE_CATEGORY": id.category, "PACKAGE_VERSION": hook.version}
        preset = tuple(sorted({**dict(PRESET), **own, "FARM_HOOK": hook.command, "FARM_MOMENT": self.moment}.items()))
        job = Job(
            layers=(Made(base.id, "layer"),),
            steps=(_STEP,),
            network=hook.network or self.network,
            platform=self.platform,
            limits=_LIMITS,
        )
        return Node(f"hook:{id.atom}@{hook.version}", job, str(id), env_from=(base.id,), preset=preset), base

    def _seed(self, hook: Hook) -> Seed:
        """The root of a hook: what its label names, what the caller names, ``hooks``, or the only seed there is."""
        name = hook.seed or self.default
        if not name:
            known = sorted(self.images.seeds)
            name = "hooks" if "hooks" in known else known[0] if len(known) == 1 else ""
        if not name:
            hint = "declare a seed called `hooks` in farm.yaml (with curl, jq, …), or name one with --hook-seed"
            raise error("no-hook-seed", f"{hook.package.id}: there is no root for its version hook", hint=hint)
        return self.images.seed(name, self.platform, hook.package.place)

    def _answer(self, name: str, hook: Hook, summary: Summary) -> list[str] | FarmError:
        result = summary.made.get(name)
        if result is None or result.layer is None:
            return _failure(name, hook, summary)
        try:
            content = _read(self.store.layer_path(result.layer))
        except OSError as fault:
            return error(
                "hook-failed", f"{hook.package.id}: its version hook left no answer: {fault.strerror or fault}"
            )
        lines = [line.strip() for line in content.decode(errors="replace").splitlines()]
        return [line for line in lines if line]


def _failure(name: str, hook: Hook, summary: Summary) -> FarmError:
    failed = next((item for item in summary.failures if item.node == name), None)
    by = summary.blocked.get(name)
    failed = failed or next((item for item in summary.failures if item.node == by), None)
    said = "; ".join(failed.tail[-3:]) if failed and failed.tail else "it did not run to its end"
    hint = "" if hook.network else 'if it needs the network, add the label autobump.network: "true"'
    message = f"{hook.package.id}: its version hook failed: {said}"
    return FarmError(Problem("hook-failed", message, hook.package.place, hint, package=str(hook.package.id)))


def _read(layer: Path) -> bytes:
    """The answer's first bytes. A hook may have put anything there: no link is followed and nothing waited for."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.ExitStack() as stack:
        top = os.open(layer, flags | os.O_DIRECTORY)
        stack.callback(os.close, top)
        folder = os.open(_FOLDER, flags | os.O_DIRECTORY, dir_fd=top)
        stack.callback(os.close, folder)
        file = os.open(_FILE, flags, dir_fd=folder)
        stack.callback(os.close, file)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(0, "not a regular file")
        return os.read(file, MAX_ANSWER)


def checksum(lines: Sequence[str]) -> str:
    """The first word of a checksum hook's answer that can be one (32 to 128 hexadecimal digits). Empty: none."""
    words = (word.lower() for line in lines for word in line.split())
    return next((w for w in words if len(w) in (32, 40, 64, 96, 128) and set(w) <= set("0123456789abcdef")), "")


Answers = Mapping[Hook, list[str] | FarmError]
