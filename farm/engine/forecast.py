# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run would do, and why, without doing it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from farm.engine.history import History
from farm.engine.look import Looker, Ticket
from farm.engine.making import Makers
from farm.plan.difference import Difference, differences
from farm.plan.job import Digest
from farm.plan.node import Plan, Result
from farm.spec.problem import FarmError, Problem
from farm.store.store import Store

Fate = Literal["cached", "run", "later", "failed"]


@dataclasses.dataclass(frozen=True, slots=True)
class Forecast:
    """What would become of one node.

    ``cached``: the store has it. ``run``: it would be made; ``changes`` tells what differs from the last time
    (``last``, a key; None: it was never made). ``later``: ``after`` have to be made before it is known.
    ``failed``: it cannot even be looked up, see ``problems``.
    """

    node: str
    fate: Fate
    key: Digest | None = None
    result: Result | None = None
    last: Digest | None = None
    changes: tuple[Difference, ...] = ()
    after: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def forecast(plan: Plan, store: Store, history: History, makers: Makers | None = None) -> dict[str, Forecast]:
    """A forecast of every node of ``plan``, in the plan's order."""
    looker = Looker(plan, store, makers)
    last = history.last_keys()
    known: dict[str, Forecast] = {}
    waiting = list(plan.nodes)
    while waiting:
        ready = [name for name in waiting if all(need in known for need in plan.nodes[name].needs)]
        fits = [name for name in ready if all(need in looker.results for need in plan.nodes[name].needs)]
        for answer in looker.look(fits):
            name = answer.node.id
            if answer.ticket and answer.result:
                looker.results[name] = answer.result
                known[name] = Forecast(name, "cached", answer.ticket.key, answer.result)
            elif answer.ticket:
                known[name] = _run(name, answer.ticket, last, store)
            else:
                failure = answer.failure
                problems = failure.problems if isinstance(failure, FarmError) else (Problem("error", repr(failure)),)
                known[name] = Forecast(name, "failed", problems=problems)
        for name in ready:
            if name not in known:
                after = tuple(need for need in plan.nodes[name].needs if need not in looker.results)
                known[name] = Forecast(name, "later", last=last.get(name), after=after)
        waiting = [name for name in waiting if name not in known]
    return {name: known[name] for name in plan.nodes}


def _run(name: str, ticket: Ticket, last: Mapping[str, Digest], store: Store) -> Forecast:
    before = last.get(name)
    document = store.document(before) if before else None
    changes = tuple(differences(document, ticket.document)) if document else ()
    return Forecast(name, "run", ticket.key, last=before if document else None, changes=changes)
