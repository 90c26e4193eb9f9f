# SPDX-License-Identifier: GPL-3.0-or-later
"""What packages of a run were made of, as plan and store know it: sources, seeds, packages below, keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from farm.engine.look import Looker, Ticket
from farm.engine.making import Makers
from farm.plan.job import Fetch, Job, Seed
from farm.plan.node import Node, Plan, Result

if TYPE_CHECKING:
    from farm.store.store import Store


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Material:
    """Something that a package was made of. ``kind``: ``source``, ``seed`` or ``package``; the digest is a sha256.

    The digest is that of a source's bytes, else that of a layer (docs/store.md).
    """

    kind: str
    name: str
    sha256: str
    uris: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Where a package comes from. ``key`` is the key of the job that built it, empty when none ran."""

    package: str
    platform: str
    key: str
    pack_key: str
    network: bool
    materials: tuple[Material, ...]


def origins(plan: Plan, store: Store) -> dict[str, Origin]:
    """The origin of each target that the store has, by node id. Nothing of this host and no time is in it."""
    known = Known(plan, store)
    return {node: known.origin(node) for node in plan.targets if node in known.results}


class Known:
    """All nodes of a plan that are made: their results and tickets by node id."""

    def __init__(self, plan: Plan, store: Store, makers: Makers | None = None) -> None:
        self.plan = plan
        self.places = {name: place for place, name in enumerate(plan.nodes)}
        self.tickets: dict[str, Ticket] = {}
        looker = Looker(plan, store, makers)
        for level in _levels(plan):
            ready = [name for name in level if all(need in looker.results for need in plan.nodes[name].needs)]
            for answer in looker.look(ready):
                if answer.ticket and answer.result:
                    self.tickets[answer.node.id] = answer.ticket
                    looker.results[answer.node.id] = answer.result
        self.results: dict[str, Result] = looker.results

    def origin(self, target: str) -> Origin:
        """Where one package comes from."""
        package = self.plan.nodes[target].package or target
        own = list(self._own(target, package))
        jobs = [self.tickets[node.id] for node in own if isinstance(node.action, Job)]
        job = jobs[-1] if jobs else None
        action = job.action if job else None
        materials = {material for node in own for need in node.needs for material in self._material(need, package)}
        materials |= set(self._seeds(target))
        return Origin(
            package,
            (action.target or action.platform) if isinstance(action, Job) else "",
            job.key if job else "",
            self.tickets[target].key,
            action.network if isinstance(action, Job) else False,
            tuple(sorted(materials)),
        )

    def below(self, target: str) -> Iterator[Node]:
        """A node and all that it needs, each once, needs first."""
        return (self.plan.nodes[name] for name in reversed(list(self._below(target))))

    def all_materials(self, target: str) -> Iterator[Material]:
        """All sources and seeds below a node, whatever package they are needed for."""
        for node in self.below(target):
            if isinstance(node.action, Fetch):
                yield from self._material(node.id, "")
        yield from self._seeds(target)

    def _own(self, target: str, package: str) -> Iterator[Node]:
        """The nodes made for this very package, needs first."""
        return (node for node in self.below(target) if node.package == package)

    def _below(self, target: str) -> Iterable[str]:
        seen: dict[str, None] = {}
        waiting = [target]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen[name] = None
                waiting += self.plan.nodes[name].needs
        return sorted(seen, key=self.places.__getitem__, reverse=True)

    def _material(self, name: str, package: str) -> Iterator[Material]:
        node, result = self.plan.nodes[name], self.results[name]
        if isinstance(node.action, Fetch):
            uris = tuple(uri for uri in node.action.urls if not uri.startswith("file:"))
            title = (node.action.urls[0] if node.action.urls else name).rstrip("/").rpartition("/")[2]
            yield Material("source", title, node.action.sha256, uris)
        elif node.package not in (None, package):
            digest = result.layer or result.package
            if digest and node.package:
                yield Material("package", node.package, digest)

    def _seeds(self, target: str) -> Iterator[Material]:
        for name in self._below(target):
            action, result = self.plan.nodes[name].action, self.results[name]
            if isinstance(action, Seed) and result.layer:
                uris = (action.url,) if action.url and not action.url.startswith(("/", "file:")) else ()
                yield Material("seed", name.removeprefix("seed:"), result.layer, uris)


def _levels(plan: Plan) -> Iterator[list[str]]:
    """Nodes that need only nodes of the levels before."""
    level: dict[str, int] = {}
    for name, node in plan.nodes.items():
        level[name] = 1 + max((level[need] for need in node.needs), default=-1)
    for number in range(max(level.values(), default=-1) + 1):
        yield [name for name, at in level.items() if at == number]
