# SPDX-License-Identifier: GPL-3.0-or-later
"""What nodes become when their needs are made, their keys, and whether the store has them already."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from farm.engine.making import Makers, maker_of
from farm.plan.job import Action, Digest, Fetch, Seed, Work
from farm.plan.node import Node, Plan, Result, key_document, key_of

if TYPE_CHECKING:
    from farm.store.store import Store


@dataclasses.dataclass(frozen=True, slots=True)
class Ticket:
    """A node that is ready to be made: nothing but digests is left in ``action``."""

    node: Node
    action: Action
    document: dict[str, Any]
    key: Digest


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a look at one node told. ``result``: the store has it. ``failure``: it cannot even be looked up."""

    node: Node
    ticket: Ticket | None = None
    result: Result | None = None
    failure: Exception | None = None


class Looker:
    """Looks nodes up, level by level. ``results`` is what is made so far, by node id."""

    def __init__(self, plan: Plan, store: Store, makers: Makers | None = None) -> None:
        self.plan = plan
        self.store = store
        self.makers = makers or {}
        self.results: dict[str, Result] = {}
        self._seeds: dict[Seed, Seed] = {}

    def look(self, names: Sequence[str]) -> list[Answer]:
        """One answer for each of these nodes, whose needs must be in ``results``."""
        answers = [self._ticket(self.plan.nodes[name]) for name in names]
        tickets = [answer.ticket for answer in answers if answer.ticket]
        found = self.find(tickets)
        return [
            dataclasses.replace(answer, result=found[answer.ticket.key])
            if answer.ticket and answer.ticket.key in found
            else answer
            for answer in answers
        ]

    def find(self, tickets: Sequence[Ticket]) -> dict[Digest, Result]:
        """What the store has of these, by key."""
        fetches = {ticket.key for ticket in tickets if isinstance(ticket.action, Fetch)}
        found = self.store.lookup_many([ticket.key for ticket in tickets if ticket.key not in fetches])
        return {**found, **{key: blob_result(self.store, key) for key in fetches if self.store.has_blob(key)}}

    def _ticket(self, node: Node) -> Answer:
        try:
            action = node.resolve(self.results)
            if isinstance(action, Seed):
                action = self._identify(action)
            elif isinstance(action, Work):
                action = maker_of(action, self.makers).identify(action)
            document = key_document(action)
            key = action.sha256 if isinstance(action, Fetch) else key_of(document)
        except Exception as failure:  # noqa: BLE001  it is this node's failure, not the run's
            return Answer(node, failure=failure)
        return Answer(node, Ticket(node, action, document, key))

    def _identify(self, seed: Seed) -> Seed:
        from farm.runner.seed import identify

        if seed not in self._seeds:
            self._seeds[seed] = identify(seed)
        return self._seeds[seed]


def source_size(plan: Plan, store: Store, name: str) -> int:
    """Bytes of the source that a node fetches; 0: it fetches nothing, or nobody knows."""
    action = plan.nodes[name].action
    if not isinstance(action, Fetch):
        return 0
    return blob_result(store, action.sha256).size if store.has_blob(action.sha256) else action.size or 0


def blob_result(store: Store, digest: Digest) -> Result:
    """The result of a fetch whose blob the store has."""
    return Result(blob=digest, size=store.blob_path(digest).stat().st_size)
